"""How the promises of a batch are kept: a few statements for all of them, in the transaction that closes their rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple
from uuid import UUID

from waypost.kernel.clock import Clock
from waypost.kernel.ids import new_id
from waypost.notifications import storage_made, storage_outbox
from waypost.notifications.addresses import ChannelName, Contact
from waypost.notifications.announce import Announcer
from waypost.notifications.domain import RESENT, Waiting
from waypost.notifications.inbox import announce as inbox
from waypost.notifications.inbox import storage as storage_inbox
from waypost.notifications.inbox.filling import inboxes_of
from waypost.notifications.making import Made, Maker, Meant, NewDelivery
from waypost.notifications.ports import EventSink
from waypost.notifications.reading import Read
from waypost.notifications.seen_domain import Delivery
from waypost.notifications.states import State
from waypost.notifications.words.service import Words
from waypost.platform.database import Connection
from waypost.platform.telemetry import log, request_id
from waypost.realtime.service import Publisher

# Of every organisation, whatever it has of its own.
EVERYWHERE = frozenset({ChannelName.PUSH, ChannelName.IN_APP})


class Kept(NamedTuple):
    """What was made of a batch."""

    made: tuple[Made, ...] = ()
    deliveries: tuple[Delivery, ...] = ()

    def __add__(self, other: object) -> Kept:
        if not isinstance(other, Kept):
            return NotImplemented
        return Kept((*self.made, *other.made), (*self.deliveries, *other.deliveries))


@dataclass(frozen=True, slots=True)
class Ways:
    """By which channels an organisation tells, and its accounts for the channel OTHER."""

    offered: frozenset[ChannelName]
    others: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Keeper:
    """``offered``: the channels of this installation; an organisation has those of its own accounts as well."""

    clock: Clock
    publisher: Publisher
    offered: frozenset[ChannelName]
    words: Words
    event_sink: EventSink

    async def keep(self, conn: Connection, rows: Sequence[tuple[Waiting, Read]]) -> Kept:
        """Notifications and deliveries of these, events for subscribers, and their rows are closed."""
        now = self.clock.now()
        meant = [(row, read) for row, read in rows if isinstance(read, Meant)]
        made = await self._make(conn, meant) if meant else []
        new = [each for one in made for each in one.deliveries]
        if new:
            await storage_made.add_deliveries(conn, new, await _numbers(conn, new), now)
        new_events = [row for row, _ in rows if not row.key.startswith(RESENT)]
        await self.event_sink(conn, new_events, self.clock)
        await storage_outbox.close_outbox(conn, [row for row, _ in rows], now)
        return Kept(tuple(made), tuple(each.delivery for each in new))

    async def ways(self, conn: Connection, org_ids: set[UUID]) -> Mapping[UUID, Ways]:
        """By which each of them tells."""
        own = await storage_made.own_ways(conn, org_ids)
        house = self.offered | EVERYWHERE
        return {
            org_id: Ways(house | frozenset(there), tuple(str(one) for one in there.get(ChannelName.OTHER, ())))
            for org_id, there in own.items()
        }

    async def promise(self, conn: Connection, kept: Kept) -> None:
        """Tell inboxes, and the staff what is final already. Promised once nothing of it can be undone by itself."""
        final = [each for each in kept.deliveries if each.state is not State.PENDING]
        await Announcer(self.publisher, self.clock).changed(conn, final)
        people = {owner for each in kept.deliveries if (owner := _owner(each)) is not None}
        for org_id, user_id in sorted(people):
            await inbox.announce(conn, self.publisher, self.clock, org_id, user_id)

    def say(self, kept: Kept) -> None:
        """After the commit: staff who look see what waits; the next event of each heals what is lost."""
        Announcer(self.publisher, self.clock).seen(each for each in kept.deliveries if each.state is State.PENDING)
        for made in kept.made:
            token = request_id.set(made.row.request_id)
            log.info(
                "notification_made",
                notification_id=str(made.notification.id),
                kind=made.notification.kind,
                deliveries=len(made.deliveries),
            )
            request_id.reset(token)

    async def _make(self, conn: Connection, meant: Sequence[tuple[Waiting, Meant]]) -> list[Made]:
        """Those whose key is new."""
        ways = await self.ways(conn, {read.org_id for _, read in meant})
        pushes = await storage_made.subscriptions(conn, {who for _, read in meant for who in _ids(read)})
        inboxes = await inboxes_of(conn, self.words, [read for _, read in meant])
        maker = Maker(lambda: new_id(self.clock), self.clock.now(), inboxes.write)
        made: list[Made] = []
        for row, read in meant:
            way = ways[read.org_id]
            people = [
                (user_id, inboxes.asked(read.org_id, read.kind, user_id, _with(contact, pushes, read, user_id)))
                for user_id, contact in read.people
            ]
            made += maker.make(row, replace(read, people=people), way.offered)
            if (house := _house(read, way)) is not None:
                made += maker.make(row, house, way.offered)
        new = await storage_made.add_notifications(conn, made) if made else set()
        return [each for each in made if each.notification.id in new]


def _house(read: Meant, way: Ways) -> Meant | None:
    """What all who run the house are told goes by its own ways as well: once, to nobody by name."""
    addressed = read.notice.customer_id or read.notice.user_id
    if addressed or not way.others or ChannelName.OTHER not in read.kind.channels:
        return None
    business = next((contact.business for _, contact in read.people if contact is not None), "")
    contact = Contact(business, business, others=way.others)
    return replace(read, kind=replace(read.kind, channels=(ChannelName.OTHER,)), people=[(None, contact)])


def _ids(read: Meant) -> list[tuple[UUID, UUID]]:
    if read.notice.customer_id is not None:
        return [(read.org_id, read.notice.customer_id)]
    return [(read.org_id, user_id) for user_id, _ in read.people if user_id is not None]


def _with(
    contact: Contact | None,
    pushes: Mapping[tuple[UUID, UUID], tuple[str, ...]],
    read: Meant,
    user_id: UUID | None,
) -> Contact | None:
    """With their subscriptions."""
    person = user_id or read.notice.customer_id
    there = pushes.get((read.org_id, person)) if person else None
    return replace(contact, push=there) if contact is not None and there else contact


async def _numbers(conn: Connection, new: Sequence[NewDelivery]) -> list[int | None]:
    """Of an inbox's items their numbers in it, beside the deliveries; the inboxes are held until the commit."""
    owners = [_owner(each.delivery) for each in new]
    counts = Counter(owner for owner in owners if owner is not None)
    if not counts:
        return [None] * len(new)
    last = await storage_inbox.take_numbers(conn, [(*owner, count) for owner, count in counts.items()])
    following = {owner: last[owner] - count for owner, count in counts.items()}
    numbers: list[int | None] = []
    for owner in owners:
        if owner is not None:
            following[owner] += 1
        numbers.append(following[owner] if owner is not None else None)
    return numbers


def _owner(delivery: Delivery) -> tuple[UUID, UUID] | None:
    """Whose inbox it goes into; None: into none."""
    if delivery.channel != ChannelName.IN_APP or delivery.state is not State.SENT:
        return None
    return delivery.org_id, UUID(delivery.address)
