"""Bodies and events of inboxes."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta

from waypost.kernel.paging import BIGINT
from waypost.notifications.inbox import domain
from waypost.platform.codec import Instant, instant, instant_or_none
from waypost.platform.queries import PageQuery

Seq = Annotated[int, Meta(ge=0, le=BIGINT - 1)]
MOST_AT_ONCE = 200


class InboxQuery(PageQuery):
    """``since``: what came after that number, in the order in which it came; without it the newest come first."""

    since: Seq | None = None


class InboxItem(msgspec.Struct, rename="camel", omit_defaults=True):
    """One thing that you were told. ``seq`` grows by one with each: ask for what came ``since`` it."""

    seq: int
    id: UUID
    notification_id: UUID
    kind: str
    subject_kind: str
    subject_id: UUID
    title: str
    text: str
    created_at: Instant
    read_at: Instant | None = None

    @classmethod
    def from_domain(cls, item: domain.Item) -> InboxItem:
        return cls(
            item.seq, item.id, item.notification_id, item.kind, item.subject_kind, item.subject_id, item.title,
            item.text, instant(item.created_at), instant_or_none(item.read_at),
        )  # fmt: skip


class InboxRead(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """What you have read: all up to a number, or single ones by their ids."""

    up_to: Seq | None = None
    ids: Annotated[list[UUID], Meta(max_length=MOST_AT_ONCE)] = []


class InboxUnread(msgspec.Struct, rename="camel"):
    """How many you have not read, and the newest number; 0: nothing ever came."""

    unread: int
    newest: int

    @classmethod
    def from_domain(cls, unread: domain.Unread) -> InboxUnread:
        return cls(unread.unread, unread.newest)


class InboxChanged(msgspec.Struct, rename="camel"):
    """`inbox:changed`: something came, or was read elsewhere."""

    event_id: UUID
    unread: int
    newest: int
