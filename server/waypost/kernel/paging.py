"""Keyset paging: a cursor is the sort key of the last row that was given, as opaque text."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import msgspec

from waypost.kernel.errors import Malformed

DEFAULT_LIMIT = 50
MAX_LIMIT = 200

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
    """The sort key of ``text``; ``BadCursor`` when it is not of this list's kind."""
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        return msgspec.msgpack.decode(raw, type=key_type)
    except (binascii.Error, ValueError, msgspec.DecodeError) as error:
        raise BadCursor from error


def page_of(rows: Sequence[T], limit: int, key: Callable[[T], object]) -> Page[T]:
    """A page out of ``limit + 1`` rows: the one too many only tells that there is more."""
    if len(rows) <= limit:
        return Page(rows, None)
    return Page(rows[:limit], encode_cursor(key(rows[limit - 1])))
