"""What becomes of a notice when a way could not tell it: another way, or an alert to staff.

Looked for by the relay, among deliveries that ended: so it does not matter who ended them. Each is seen to once; one in
doubt after the minutes that its organisation allows, unless it is repeated by itself until then.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from waypost.identity.rules import Rules
from waypost.kernel.clock import Clock
from waypost.kernel.errors import Unavailable
from waypost.kernel.ids import new_id
from waypost.notifications import storage_follow as storage
from waypost.notifications import storage_made
from waypost.notifications.addresses import REPEATABLE, Contact
from waypost.notifications.alert_domain import CUSTOMER_UNREACHABLE, DELIVERY_IN_DOUBT
from waypost.notifications.alerts import alert
from waypost.notifications.announce import Announcer
from waypost.notifications.keeping import Keeper, Ways
from waypost.notifications.kinds import KINDS, Kind
from waypost.notifications.making import NewDelivery
from waypost.notifications.planning import Gone, Planned, is_unreachable, is_untold, stand_in
from waypost.notifications.ports import Contacts
from waypost.notifications.seen_domain import Delivery
from waypost.notifications.states import MAX_ATTEMPTS, State
from waypost.notifications.storage_follow import Ended, may_repeat
from waypost.platform.database import SYSTEM, Connection, Database
from waypost.platform.telemetry import log
from waypost.realtime.service import Publisher

AT_ONCE = 200
LOOK_AGAIN = timedelta(minutes=1)  # at one that is repeated by itself, or that could not be seen to


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of those whom a round is about; read before its transaction."""

    people: Mapping[tuple[UUID, UUID], Contact]
    patience: Mapping[UUID, timedelta]  # for how long an organisation bears a doubt


@dataclass(frozen=True, slots=True)
class Following:
    """Safe to repeat, and by any number at once."""

    database: Database
    clock: Clock
    publisher: Publisher
    contacts: Contacts
    rules: Rules
    keeper: Keeper

    async def round(self) -> int:
        """See to up to 200; how many there were. All at once; if one of them cannot be seen to, each by itself."""
        now = self.clock.now()
        async with self.database.transaction(SYSTEM) as conn:
            ended = await storage.look(conn, now, AT_ONCE)
        if not ended:
            return 0
        try:
            await self._follow(ended, now)
        except Unavailable:
            raise
        except Exception as error:  # noqa: BLE001 - one of them is at fault: it is found here
            log.warning("following_one_by_one", deliveries=len(ended), reason=type(error).__name__)
            for each in ended:
                await self._follow_alone(each, now)
        return len(ended)

    async def _follow(self, ended: Sequence[Ended], now: datetime) -> None:
        """Wholly, or not at all."""
        known = await self._know(ended)
        async with self.database.transaction(SYSTEM) as conn:
            taken = await storage.take(conn, ended, now)
            later = [(each, self._not_before(each, known, now)) for each in taken]
            ripe = [each for each, at in later if at is None]
            await storage.followed(conn, later)
            await self._see_to(conn, ripe, known, now)

    async def _follow_alone(self, ended: Ended, now: datetime) -> None:
        """What cannot be seen to is put off, and holds up no other."""
        try:
            await self._follow([ended], now)
        except Unavailable:
            raise
        except Exception:  # noqa: BLE001 - whatever is wrong with this one, the others go on
            log.exception("following_put_off", delivery_id=str(ended.id), kind=ended.kind)
            async with self.database.transaction(SYSTEM) as conn:
                taken = await storage.take(conn, [ended], now)
                await storage.followed(conn, [(each, now + LOOK_AGAIN) for each in taken])

    async def _know(self, ended: Sequence[Ended]) -> Known:
        customers = {(each.org_id, each.customer_id) for each in ended if each.customer_id is not None}
        patience = {}
        for org_id in {each.org_id for each in ended}:
            patience[org_id] = timedelta(minutes=(await self.rules.of(org_id)).telling.doubt_minutes)
        return Known(await self.contacts.customers(customers) if customers else {}, patience)

    def _not_before(self, ended: Ended, known: Known, now: datetime) -> datetime | None:
        """When a doubt is to be looked at again; None: it is time, and so is what surely has ended."""
        if ended.state is not State.IN_DOUBT:
            return None
        if may_repeat(ended, REPEATABLE):
            return now + LOOK_AGAIN
        at = ended.updated_at + known.patience[ended.org_id]
        return at if at > now else None

    async def _see_to(self, conn: Connection, ended: Sequence[Ended], known: Known, now: datetime) -> None:
        for each in ended:
            if each.state is State.IN_DOUBT:
                await self._tell_of_doubt(conn, each, now)
        beside = await storage.beside(conn, ended)
        ways = await self.keeper.ways(conn, {each.org_id for each in ended})
        made: list[Delivery] = []
        seen: set[UUID] = set()
        for each in ended:
            kind = KINDS.get(each.kind)
            is_over = each.cancelled_at is not None or each.valid_until < now or each.notification_id in seen
            if each.customer_id is None or kind is None or is_over:
                continue
            there = beside[each.org_id, each.notification_id]
            if not is_untold(there):
                continue
            seen.add(each.notification_id)
            contact = known.people.get((each.org_id, each.customer_id))
            made += await self._go_on(conn, each, kind, contact, ways[each.org_id], there)
        await Announcer(self.publisher, self.clock).changed(conn, made)

    async def _go_on(
        self, conn: Connection, ended: Ended, kind: Kind, contact: Contact | None, ways: Ways, there: Sequence[Gone]
    ) -> list[Delivery]:
        """By another way, or tell staff that there is none."""
        if contact is not None and ended.customer_id is not None:
            pushes = await storage_made.subscriptions(conn, {(ended.org_id, ended.customer_id)})
            contact = replace(contact, push=pushes.get((ended.org_id, ended.customer_id), ()))
        planned = stand_in(contact, kind, ways.offered, there)
        if planned is not None:
            new = self._delivery(ended, planned)
            added = await storage_made.add_deliveries(
                conn, [NewDelivery(new, kind.queue, ended.request_id, ended.id)], [None], new.updated_at
            )
            log.info("stand_in_made", delivery_id=str(ended.id), instead=planned.channel, reason=ended.reason)
            return [new] if added else []
        if contact is not None and is_unreachable(there):
            await self._tell_of_silence(conn, ended, contact)
        return []

    def _delivery(self, ended: Ended, planned: Planned) -> Delivery:
        now = self.clock.now()
        return Delivery(
            org_id=ended.org_id,
            id=new_id(self.clock),
            notification_id=ended.notification_id,
            kind=ended.kind,
            channel=planned.channel,
            address=planned.address,
            state=State.PENDING,
            reason=None,
            attempt=0,
            budget=MAX_ATTEMPTS,
            due_at=now,
            updated_at=now,
        )

    async def _tell_of_doubt(self, conn: Connection, ended: Ended, now: datetime) -> None:
        """Once an hour: a provider that hangs leaves many, and the list shows all of them."""
        await alert(
            conn, self.publisher, self.clock, ended.org_id,
            kind=DELIVERY_IN_DOUBT, key=f"{DELIVERY_IN_DOUBT}:{now:%Y-%m-%dT%H}", subject_kind="delivery",
            subject_id=ended.id, facts={"notice": ended.kind, "channel": ended.channel},
        )  # fmt: skip

    async def _tell_of_silence(self, conn: Connection, ended: Ended, contact: Contact) -> None:
        """Once a day and customer, whatever they should have been told."""
        now = self.clock.now()
        await alert(
            conn, self.publisher, self.clock, ended.org_id,
            kind=CUSTOMER_UNREACHABLE, key=f"{CUSTOMER_UNREACHABLE}:{ended.customer_id}:{now:%Y-%m-%d}",
            subject_kind="customer", subject_id=ended.customer_id,
            facts={"customer": contact.name, "notice": ended.kind, "reason": ended.reason or str(ended.state)},
        )  # fmt: skip
