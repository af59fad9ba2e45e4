"""Keyset paging: a cursor is the sort key of the last row that was given, as opaque text."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Generic, TypeVar

import msgspec

from waypost.kernel.errors import Malformed

DEFAULT_LIMIT = 50
MAX_LIMIT = 200
BIGINT = 2**63  # what a bigint is below

T = TypeVar("T")
K = TypeVar("K")


class BadCursor(Malformed):
    """The cursor is not one that this list gave out; start again without it."""

    code = "bad-cursor"


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Rows of a list and the cursor of what follows; None: this was the last page."""

    data: Sequence[T]
    next_cursor: str | None


def encode_cursor(key: object) -> str:
    """Opaque, url-safe text of a sort key (a tuple of what msgpack can hold, times and ids included)."""
    return base64.urlsafe_b64encode(msgspec.msgpack.encode(key)).rstrip(b"=").decode()


def decode_cursor(text: str, key_type: type[K]) -> K:
    """The sort key of ``text``; ``BadCursor`` when it is not of this list's kind, or of nothing that a row can have: a
    cursor may be anybody's making.
    """
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        key = msgspec.msgpack.decode(raw, type=key_type)
    except (binascii.Error, ValueError, msgspec.DecodeError) as error:
        raise BadCursor from error
    if not _may_be_stored(key):
        raise BadCursor
    return key


def _may_be_stored(value: object) -> bool:
    """Can a column hold it, with the one meaning that it has here?"""
    match value:
        case str():
            return "\0" not in value
        case int():
            return -BIGINT <= value < BIGINT
        case datetime():
            return value.tzinfo is not None and _is_in_calendar(value)
        case tuple() | list():
            return all(map(_may_be_stored, value))
    return True


def _is_in_calendar(at: datetime) -> bool:
    """In UTC, too."""
    try:
        at.astimezone(UTC)
    except OverflowError:
        return False
    return True


def page_of(rows: Sequence[T], limit: int, key: Callable[[T], object]) -> Page[T]:
    """A page out of ``limit + 1`` rows: the one too many only tells that there is more."""
    if len(rows) <= limit:
        return Page(rows, None)
    return Page(rows[:limit], encode_cursor(key(rows[limit - 1])))
