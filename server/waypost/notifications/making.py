"""What the relay makes of a promise: for each whom it means a notification, with its deliveries. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from waypost.notifications.addresses import ChannelName, Contact, facts_of
from waypost.notifications.domain import Notice, Queue, Text, Waiting
from waypost.notifications.kinds import Group, Kind
from waypost.notifications.planning import Planned, plan
from waypost.notifications.seen_domain import Delivery, Notification
from waypost.notifications.states import MAX_ATTEMPTS, State

LOCALE = "en"  # of a customer who has asked for no language


@dataclass(frozen=True, slots=True)
class Meant:
    """What an outbox row says, and whom it means, as they are reached now; no contact: there is no such person.

    ``org_id``: whose people they are; another organisation's than the row's, where that tells of what concerns both.
    """

    org_id: UUID
    kind: Kind
    notice: Notice
    people: Sequence[tuple[UUID | None, Contact | None]]  # of staff by their ids; a customer is the one without

    def key(self, row: Waiting, user_id: UUID | None) -> str:
        """Names the notification: of what goes to several, each has one."""
        return row.key if self.notice.user_id == user_id else f"{row.key}:{user_id}"


@dataclass(frozen=True, slots=True)
class NewDelivery:
    """A delivery to be. ``text``: of an inbox's item, which is told as it is written; ``followed``: when it could not
    tell, that has been seen to.
    """

    delivery: Delivery
    queue: Queue
    request_id: str | None
    instead_of: UUID | None = None
    text: Text | None = None
    followed: bool = False


@dataclass(frozen=True, slots=True)
class Made:
    """A notification to be."""

    row: Waiting
    notification: Notification
    dedupe_key: str
    locale: str
    time_zone: str | None
    facts: Mapping[str, str]
    deliveries: Sequence[NewDelivery]


@dataclass(frozen=True, slots=True)
class Maker:
    """``write``: the words of an organisation's inboxes' items; None where there are none."""

    new_id: Callable[[], UUID]
    now: datetime
    write: Callable[[UUID, str, str, Mapping[str, str]], Text | None]

    def make(self, row: Waiting, meant: Meant, offered: frozenset[ChannelName]) -> list[Made]:
        """A notification for each whom it means."""
        return [self._make(row, meant, offered, user_id, contact) for user_id, contact in meant.people]

    def _make(
        self, row: Waiting, meant: Meant, offered: frozenset[ChannelName], user_id: UUID | None, contact: Contact | None
    ) -> Made:
        kind, notice = meant.kind, meant.notice
        from_then = max(notice.not_before or row.created_at, row.created_at)
        notification = Notification(
            org_id=meant.org_id,
            id=self.new_id(),
            kind=kind.name,
            customer_id=notice.customer_id,
            recipient=contact.name if contact else "",
            subject_kind=notice.subject_kind,
            subject_id=notice.subject_id,
            created_at=self.now,
            valid_until=notice.valid_until or from_then + kind.validity,
            user_id=user_id,
            resent_from=notice.resent_from,
        )
        facts = {**notice.facts, **facts_of(contact)}
        locale = (contact.locale if contact else None) or LOCALE
        due_at = max(self.now, notice.not_before or self.now)
        planned = plan(contact, kind, offered)
        deliveries = self._deliveries(row, notification, kind, planned, due_at)
        return Made(
            row, notification, meant.key(row, user_id), locale, contact.time_zone if contact else None, facts,
            [self._written(each, locale, facts) for each in deliveries],
        )  # fmt: skip

    def _deliveries(
        self, row: Waiting, notification: Notification, kind: Kind, planned: Sequence[Planned], due_at: datetime
    ) -> list[NewDelivery]:
        """That of several none can is one thing to see to, and that some can is nothing to see to."""
        made: list[NewDelivery] = []
        hopeless = kind.group is not Group.STAFF and all(each.reason for each in planned)
        for n, each in enumerate(planned):
            instead_of = made[0].delivery.id if each.instead and made else None
            delivery = self.delivery(notification, each, due_at)
            followed = delivery.state is State.SUPPRESSED and not (hopeless and n == 0)
            made.append(NewDelivery(delivery, kind.queue, row.request_id, instead_of, None, followed))
        return made

    def delivery(self, notification: Notification, planned: Planned, due_at: datetime) -> Delivery:
        """As it is written: what an inbox holds is told by that."""
        state = State.SUPPRESSED if planned.reason else State.PENDING
        return Delivery(
            org_id=notification.org_id,
            id=self.new_id(),
            notification_id=notification.id,
            kind=notification.kind,
            channel=planned.channel,
            address=planned.address,
            state=State.SENT if _is_item(planned) else state,
            reason=planned.reason,
            attempt=0,
            budget=MAX_ATTEMPTS,
            due_at=due_at,
            updated_at=self.now,
        )

    def _written(self, new: NewDelivery, locale: str, facts: Mapping[str, str]) -> NewDelivery:
        if new.delivery.channel != ChannelName.IN_APP or new.delivery.state is not State.SENT:
            return new
        text = self.write(new.delivery.org_id, new.delivery.kind, locale, facts)
        return NewDelivery(new.delivery, new.queue, new.request_id, new.instead_of, text, new.followed)


def _is_item(planned: Planned) -> bool:
    """Does it go into somebody's inbox?"""
    return planned.channel is ChannelName.IN_APP and planned.reason is None
