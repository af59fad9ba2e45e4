"""What an inbox is made of. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that a person was told. ``seq`` grows by one with each of theirs, in the order of the commits."""

    seq: int
    id: UUID
    notification_id: UUID
    kind: str
    subject_kind: str
    subject_id: UUID
    title: str
    text: str
    created_at: datetime
    read_at: datetime | None


@dataclass(frozen=True, slots=True)
class Unread:
    """How many of an inbox were not read, and the newest ``seq``; 0: nothing ever came."""

    unread: int
    newest: int
