"""Every night: has the provider the same messages as we have? What it knows better is taken over; the rest is an alert.

Only Twilio lists what it was given. Of the other providers receipts and people are all that there is.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Final, Protocol
from uuid import UUID

from waypost.identity.rules import Rules
from waypost.kernel.clock import Clock
from waypost.notifications import storage_comparing as storage
from waypost.notifications.addresses import ChannelName
from waypost.notifications.alert_domain import MESSAGES_DIFFER
from waypost.notifications.alerts import alert
from waypost.notifications.providers.accounts import ProviderAccount, TwilioConfig
from waypost.notifications.providers.reports import Report, Said
from waypost.notifications.providers.twilio_lists import NEVER_SENT, DayPage, Found, NotThere
from waypost.notifications.providers_register import MessageProviders
from waypost.notifications.receipts.domain import Disposition
from waypost.notifications.receipts.reporting import Reporting
from waypost.notifications.states import State
from waypost.platform.database import SYSTEM, Database
from waypost.platform.telemetry import log
from waypost.realtime.service import Publisher

ONE_DAY: Final = timedelta(days=1)
MOST_PAGES: Final = 2_000  # of a day; of 200 messages each
AT_ONCE: Final = 100
MOST_ASKED: Final = 1_000  # one by one
LONGEST_S: Final = 1_200.0  # of an organisation's accounts together: the timed work of others waits meanwhile
EXAMPLES: Final = 5
FIRST_ID: Final = UUID(int=0)


class Odd(StrEnum):
    """How a message may differ."""

    REPEATED = "repeated"  # the provider has a second one with the same words to the same number
    MISSING = "missing"  # it has none of that id, though it said that it took it
    CONTRADICTING = "contradicting"  # its end there is another one than here


class Lists(Protocol):
    """The worker's; None: it could not be asked, or not be understood."""

    async def day(self, account: ProviderAccount, of: date, page: str | None) -> DayPage | None:
        """A page of what was sent on a day (UTC)."""
        ...

    async def message(self, account: ProviderAccount, reference: str) -> Found | NotThere | None:
        """One message."""
        ...


def agrees(state: State, said: Said) -> bool:
    """Does the provider's word go with how the delivery stands? It may be behind us."""
    if said is Said.SENT:
        return state in {State.SENT, State.DELIVERED, State.UNDELIVERED}
    return said is Said.NOTHING or (state, said) in {
        (State.DELIVERED, Said.DELIVERED),
        (State.UNDELIVERED, Said.UNDELIVERED),
    }


@dataclass(slots=True)
class Compared:
    """What was found of one account's day. ``whole``: all of it could be asked, before ``until`` (monotonic);
    ``on_its_way``: what the list has, without an end.
    """

    account: ProviderAccount
    day: date
    until: float
    on_its_way: set[str] = field(default_factory=set)
    listed: int = 0
    settled: int = 0
    odd: Counter[Odd] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)
    whole: bool = True

    def note(self, odd: Odd, reference: str) -> None:
        """One that differs."""
        self.odd[odd] += 1
        if len(self.examples) < EXAMPLES:
            self.examples.append(reference)

    @property
    def facts(self) -> dict[str, str]:
        """Of the alert."""
        counts = {str(odd): str(self.odd[odd]) for odd in Odd}
        return {"provider": self.account.name, "day": str(self.day), "messages": ", ".join(self.examples), **counts}


@dataclass(frozen=True, slots=True)
class Comparison:
    """Safe to repeat, and twice at once: what is settled agrees then, and an alert has a key."""

    database: Database
    clock: Clock
    publisher: Publisher
    rules: Rules
    providers: MessageProviders
    lists: Lists

    async def run(self, org_id: UUID, day: date) -> list[Compared]:
        """Compare what each account in use sent on a day (UTC) that is over."""
        async with self.database.transaction(SYSTEM) as conn:
            accounts = await self.providers.of(conn, org_id, ChannelName.SMS)
        until = self.clock.monotonic() + LONGEST_S
        done = [Compared(account, day, until) for account in accounts if isinstance(account.config, TwilioConfig)]
        for of in done:
            await self._listed(of)
            await self._silent(of)
            log.info(
                "messages_compared", org_id=str(org_id), provider_id=str(of.account.id), day=str(day), whole=of.whole,
                listed=of.listed, settled=of.settled, **{str(odd): count for odd, count in of.odd.items()},
            )  # fmt: skip
            if of.odd:
                await self._alert(of)
        return done

    async def _listed(self, of: Compared) -> None:
        """The provider's list against ours."""
        page: str | None = None
        for _ in range(MOST_PAGES):
            if self.clock.monotonic() > of.until:
                break
            listed = await self.lists.day(of.account, of.day, page)  # no connection to the database is held meanwhile
            if listed is None:
                break
            await self._page(of, [each for each in listed.found if each.is_outbound])
            page = listed.following
            if page is None:
                return
        of.whole = False

    async def _page(self, of: Compared, found: list[Found]) -> None:
        org_id, provider_id, since = of.account.org_id, of.account.id, _start(of.day)
        async with self.database.transaction(SYSTEM) as conn:
            known = await storage.known(conn, org_id, provider_id, [each.sid for each in found])
            strange = [(each.sid, each.to, each.text) for each in found if each.sid not in known and _may_be_ours(each)]
            repeated = await storage.repeated(conn, org_id, provider_id, since, strange)
        of.listed += len(found)
        of.on_its_way.update(each.sid for each in found if each.sid in known and each.report.said is Said.SENT)
        for reference in repeated:
            of.note(Odd.REPEATED, reference)
        for each in found:
            if each.sid in known and not agrees(known[each.sid][1], each.report.said):
                await self._take_over(of, known[each.sid][0], each.report)

    async def _silent(self, of: Compared) -> None:
        """Ours, of which nothing was heard, against the provider's; those that its list has it need not be asked."""
        between, after, asked = (_start(of.day), _start(of.day + ONE_DAY)), FIRST_ID, 0
        while True:
            async with self.database.transaction(SYSTEM) as conn:
                rows = await storage.silent(conn, of.account.org_id, of.account.id, between, after, AT_ONCE)
            for delivery_id, reference in rows:
                after = delivery_id
                if reference in of.on_its_way:
                    continue
                if asked >= MOST_ASKED or not await self._ask(of, delivery_id, reference):
                    of.whole = False
                    return
                asked += 1
            if len(rows) < AT_ONCE:
                return

    async def _ask(self, of: Compared, delivery_id: UUID, reference: str) -> bool:
        """Of one message; False: it could not be asked."""
        if self.clock.monotonic() > of.until:
            return False
        found = await self.lists.message(of.account, reference)
        if found is None:
            return False
        if isinstance(found, NotThere):
            of.note(Odd.MISSING, reference)
        elif not agrees(State.SENT, found.report.said):
            await self._take_over(of, delivery_id, found.report)
        return True

    async def _take_over(self, of: Compared, delivery_id: UUID, report: Report) -> None:
        """As a receipt would have told it; what it cannot change differs."""
        settings = await self.rules.of(of.account.org_id)
        named = replace(report, delivery_id=delivery_id)
        async with self.database.transaction(SYSTEM) as conn:
            reporting = Reporting(self.clock, self.publisher)
            ended = await reporting.apply(conn, of.account, named, delivery_id, settings.telling)
            now = await storage.known(conn, of.account.org_id, of.account.id, [report.reference])
        if ended is Disposition.APPLIED:
            of.settled += 1
        elif not any(agrees(state, report.said) for _, state in now.values()):  # else its receipt was quicker
            of.note(Odd.CONTRADICTING, report.reference)

    async def _alert(self, of: Compared) -> None:
        async with self.database.transaction(SYSTEM) as conn:
            await alert(
                conn, self.publisher, self.clock, of.account.org_id, kind=MESSAGES_DIFFER,
                key=f"{MESSAGES_DIFFER}:{of.account.id}:{of.day}", subject_kind="message_provider",
                subject_id=of.account.id, facts=of.facts,
            )  # fmt: skip


def _may_be_ours(found: Found) -> bool:
    """Could it be a second one of ours that went out? PostgreSQL keeps no NUL, so nothing of ours has one."""
    return found.report.status not in NEVER_SENT and "\x00" not in found.text


def _start(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
