"""What a script may say to the fake provider: what happens to the next messages, or by chance to any."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Sequence
from typing import Literal

import msgspec

# accept: taken and answered. refuse: by the face's own `code`. unavailable: 503. limit: 429 with Retry-After. bad: 400.
# error: 500, not taken. cut: the line is cut before it is taken. hang: not taken, and never answered. drop: taken, and
# the line is cut before the answer. silent: taken, and never answered. page: taken, and answered with a web page.
# missing: taken, and the answer does not name the message.
Answer = Literal[
    "accept", "refuse", "unavailable", "limit", "bad", "error", "cut", "hang", "drop", "silent", "page", "missing"
]  # fmt: skip


class Receipt(msgspec.Struct, forbid_unknown_fields=True):
    """A later word on a message, in the face's own words. ``after_s``: from the answer, or from the one before;
    ``copies``: so often, at once; ``forged``: with a signature that is none; ``before``: it comes before the answer.
    """

    status: str
    code: str | None = None
    after_s: float = 0.0
    copies: int = 1
    forged: bool = False
    before: bool = False


class Play(msgspec.Struct, forbid_unknown_fields=True):
    """What happens to a message. ``face``: of that face alone; ``after_s``: before it is answered, once it is taken;
    ``receipts`` None: those that the face sends ordinarily; empty: never any; in another order: reversed.
    """

    answer: Answer = "accept"
    face: str | None = None
    code: str | None = None
    after_s: float = 0.0
    retry_after_s: int = 1
    receipts: tuple[Receipt, ...] | None = None


class Chance(msgspec.Struct, forbid_unknown_fields=True):
    """``share``: of all messages, from 0 to 1."""

    share: float
    play: Play


class Script(msgspec.Struct, forbid_unknown_fields=True):
    """``plays``: for the next messages, in order; then by ``chances``, drawn from ``seed``; else they are taken.
    ``latency_s``: of each answer; ``report_to``: where a face reports whose requests do not say so, such as
    {"africastalking": "http://…"}.
    """

    plays: tuple[Play, ...] = ()
    chances: tuple[Chance, ...] = ()
    seed: int = 1
    latency_s: float = 0.0
    report_to: dict[str, str] = {}


class Plays:
    """Draws what happens next."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.waiting = deque(script.plays)
        self._random = random.Random(script.seed)  # noqa: S311 - faults, no secrets

    def add(self, plays: Sequence[Play]) -> None:
        self.waiting.extend(plays)

    def next(self, face: str) -> Play:
        """The first that waits for this face, else one by chance, else the ordinary."""
        for play in self.waiting:
            if play.face in (None, face):
                self.waiting.remove(play)
                return play
        drawn = self._random.random()
        for chance in self.script.chances:
            if chance.play.face in (None, face):
                if drawn < chance.share:
                    return chance.play
                drawn -= chance.share
        return Play()
