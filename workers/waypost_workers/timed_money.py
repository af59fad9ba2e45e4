"""Timed work that has to do with money. Every sweep goes by its organisation's own clock, and may be repeated."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, time, timedelta
from uuid import UUID

from waypost.jobs.scheduler import Timed
from waypost.jobs.timetable import Daily
from waypost.kernel.zones import zone_or_utc
from waypost.payments.upkeep import PaymentUpkeep
from waypost.platform.telemetry import log
from waypost.wiring import Services

JUST_PAST_MIDNIGHT, A_LITTLE_LATER = time(0, 5), time(0, 20)
MORNING = time(9, 0)  # when customers are reminded (R6)
ONE_DAY = timedelta(days=1)


def timetable(services: Services) -> Sequence[Timed]:
    """Fees and defaults right after the day's end, reminders in the morning, the books at night."""
    sweeps, books = services.money.sweeps, Books(services)
    return [
        Timed("layby-late-fees", Daily(JUST_PAST_MIDNIGHT), sweeps.charge_late_fees, each_org=True),
        Timed("layby-defaults", Daily(A_LITTLE_LATER), sweeps.default, each_org=True),
        Timed("layby-reminders", Daily(MORNING), sweeps.remind, each_org=True),
        Timed("layby-overdue", Daily(MORNING), sweeps.tell_overdue, each_org=True),
        Timed("layby-completion", Daily(MORNING), sweeps.remind_of_completion, each_org=True),
        Timed("layby-collection", Daily(MORNING), sweeps.remind_of_collection, each_org=True),
        Timed("invoices-overdue", Daily(MORNING), services.money.overdue_invoices.tell, each_org=True),
        Timed("ledger-snapshots", Daily(time(1, 30)), books.snapshots, each_org=True),
        Timed("reconcile", Daily(time(2, 30)), books.reconcile, each_org=True),
        Timed("forget-sweeps", Daily(time(4, 15)), books.forget_sweeps),
        Timed("forget-callbacks", Daily(time(4, 35)), books.forget_callbacks),
    ]


class Books:
    """What is done about the day that has ended."""

    def __init__(self, services: Services) -> None:
        self._services, self._money = services, services.money

    async def snapshots(self, org_id: UUID, due_at: datetime) -> int:
        """What each account came to at the end of yesterday."""
        zone = zone_or_utc((await self._services.rules.of(org_id)).time_zone)
        return await self._money.ledger_upkeep.snapshots(org_id, due_at.astimezone(zone).date() - ONE_DAY, zone)

    async def reconcile(self, org_id: UUID, due_at: datetime) -> None:
        """Payments against providers' statements, sums against rows; what differs is an alert."""
        zone = zone_or_utc((await self._services.rules.of(org_id)).time_zone)
        await self._money.reconciliation.run(org_id, due_at.astimezone(zone).date() - ONE_DAY)

    async def forget_sweeps(self, _org_id: UUID, _due_at: datetime) -> int:
        return await self._money.sweeps.forget()

    async def forget_callbacks(self, _org_id: UUID, _due_at: datetime) -> None:
        """What providers sent, and phones that were asked, of what is settled."""
        kept = timedelta(days=self._services.settings.keep_callbacks_days)
        if count := await PaymentUpkeep(self._services.database, self._services.clock).forget(kept):
            log.info("forgotten", what="callbacks, statements and phones", count=count)
