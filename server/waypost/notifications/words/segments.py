"""Of how many parts an SMS is: what it costs. Pure.

Counted by packing, not by division: what costs two may not be split over two parts. 3GPP TS 23.038 and 23.040.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from waypost.notifications.words.gsm import EXTENDED, in_gsm


class Encoding(StrEnum):
    """By which alphabet a message is sent."""

    GSM7 = "gsm7"
    UCS2 = "ucs2"


_ONE_UNIT: Final = 0xFFFF  # beyond it UTF-16 needs two
# How much one message holds, and each part of a longer one, whose header takes room.
_ROOM: Final = {Encoding.GSM7: (160, 153), Encoding.UCS2: (70, 67)}


@dataclass(frozen=True, slots=True)
class Segments:
    """``units``: septets, or UTF-16 units; ``room``: how many ``parts`` parts hold."""

    encoding: Encoding
    parts: int
    units: int

    @property
    def room(self) -> int:
        """How many units so many parts hold."""
        alone, together = _ROOM[self.encoding]
        return alone if self.parts <= 1 else together * self.parts


def count(text: str) -> Segments:
    """What ``text`` takes; nothing takes one part, too."""
    encoding = Encoding.GSM7 if in_gsm(text) else Encoding.UCS2
    sizes = [_size(letter, encoding) for letter in text]
    alone, together = _ROOM[encoding]
    units = sum(sizes)
    return Segments(encoding, 1 if units <= alone else _packed(sizes, together), units)


def _size(letter: str, encoding: Encoding) -> int:
    if encoding is Encoding.GSM7:
        return 2 if letter in EXTENDED else 1
    return 2 if ord(letter) > _ONE_UNIT else 1


def _packed(sizes: Iterable[int], room: int) -> int:
    parts, used = 1, 0
    for size in sizes:
        if used + size > room:
            parts, used = parts + 1, 0
        used += size
    return parts
