"""What messages cost, and the caps on it: an SMS that can wait, waits for the next day once the day's cap is reached.

It is added when a provider has taken a message, so a cap may be overshot by what is under way.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from typing import Final
from uuid import UUID

from waypost.identity.domain import OrgSettings
from waypost.identity.rules import present_rules
from waypost.kernel.clock import Clock
from waypost.notifications import storage_spend as storage
from waypost.notifications.addresses import ChannelName
from waypost.notifications.alert_domain import SMS_CAP_REACHED
from waypost.notifications.alerts import alert
from waypost.notifications.choosing import Hold
from waypost.notifications.domain import Due, Message, Queue, Used
from waypost.notifications.kinds import Kind
from waypost.notifications.providers.accounts import ProviderAccount
from waypost.notifications.quiet import zone_of
from waypost.notifications.states import Outcome
from waypost.notifications.words.segments import count
from waypost.platform.database import Connection
from waypost.realtime.service import Publisher

CAP: Final = "held_spend_cap"
NOTHING: Final = Decimal(0)


def day_of(rules: OrgSettings, now: datetime) -> date:
    """The day whose cap counts: the organisation's own."""
    return now.astimezone(zone_of(rules.time_zone)).date()


def next_day(rules: OrgSettings, now: datetime) -> datetime:
    """When it begins anew."""
    midnight = datetime.combine(day_of(rules, now) + timedelta(days=1), time(), zone_of(rules.time_zone))
    return midnight.astimezone(UTC)


def used_by(message: Message, outcome: Outcome) -> Used:
    """As the provider says; else parts are counted, and costed by the account's price."""
    account, sms = message.account, message.channel is ChannelName.SMS
    segments = outcome.segments or (count(message.text.body).parts if sms else None)
    cost, currency = outcome.cost, outcome.cost_currency
    if cost is None and account is not None and account.price is not None:
        cost, currency = account.price * (segments or 1), account.price_currency
    return Used(outcome.sender or _sender(account), segments, cost, currency)


def _sender(account: ProviderAccount | None) -> str | None:
    return (account.sender or None) if account is not None else None


def is_reached(rules: OrgSettings, spent: storage.Spent) -> bool:
    """Has the day's SMS used up what the organisation has allowed?"""
    telling = rules.telling
    if telling.sms_parts_a_day is not None and spent.parts >= telling.sms_parts_a_day:
        return True
    most = amount(telling.sms_spend_a_day)
    return most is not None and spent.cost >= most


def amount(text: str | None) -> Decimal | None:
    """Of money as settings have it; None: none is set."""
    try:
        return Decimal(text) if text else None
    except InvalidOperation:
        return None


@dataclass(frozen=True, slots=True)
class Spending:
    """``roll``: in [0, 1), to spread the sums and those that wait."""

    clock: Clock
    publisher: Publisher
    roll: Callable[[], float]

    async def held(self, conn: Connection, due: Due, kind: Kind, rules: OrgSettings) -> Hold | None:
        """Does it wait for the next day? Staff know by then, unless the cap was lowered. A cap that was just raised has
        let go of what it held and looks no more: nothing is held by the one before.
        """
        if due.channel is not ChannelName.SMS or kind.queue is Queue.URGENT:
            return None
        now = self.clock.now()
        day = day_of(rules, now)
        if not await self._is_used_up(conn, due.org_id, day, rules):
            return None
        if not await self._is_used_up(conn, due.org_id, day, await present_rules(conn, due.org_id)):
            return None
        await self._tell(conn, due.org_id, day)
        return Hold(CAP, next_day(rules, now) + timedelta(seconds=60 * self.roll()))

    async def add(self, conn: Connection, message: Message, used: Used, rules: OrgSettings) -> None:
        """A provider has taken it: nothing to add for what goes by no provider's account. Staff are told at once when
        that uses up the day's cap, whatever it was.
        """
        if message.account is None:
            return
        day = day_of(rules, self.clock.now())
        await storage.add(
            conn, message.org_id, day, message.channel, message.account.id,
            slot=int(self.roll() * storage.SLOTS), segments=used.segments or 0, cost=used.cost or NOTHING,
            currency=used.currency or "",
        )  # fmt: skip
        if message.channel is ChannelName.SMS and await self._is_used_up(conn, message.org_id, day, rules):
            await self._tell(conn, message.org_id, day)

    async def _is_used_up(self, conn: Connection, org_id: UUID, day: date, rules: OrgSettings) -> bool:
        telling = rules.telling
        if telling.sms_parts_a_day is None and telling.sms_spend_a_day is None:
            return False
        return is_reached(rules, await storage.spent(conn, org_id, day, ChannelName.SMS))

    async def _tell(self, conn: Connection, org_id: UUID, day: date) -> None:
        """Once a day: the key is the day's."""
        await alert(
            conn, self.publisher, self.clock, org_id, kind=SMS_CAP_REACHED, key=f"sms_cap:{day}",
            subject_kind="organisation", subject_id=org_id, facts={"day": day.isoformat()},
        )  # fmt: skip
