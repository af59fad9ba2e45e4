"""What members ask as they join: those who come at once are answered together, from one reading of each room.

After a node has died a thousand of them ask for nearly the same at the same moment.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Final

from waypost.platform.telemetry import log
from waypost.realtime.events import Place
from waypost.realtime.record import Found, Record, RedisAway

ROOMS_AT_ONCE: Final = 64  # each may have as many events as are asked for: more would be a heap of them


@dataclass(eq=False, slots=True)
class Question:
    """Of one member; ``answer`` None although it is answered: Redis is away."""

    room: str
    since: Place | None
    limit: int
    answer: Found | None = None
    is_answered: bool = False


@dataclass(slots=True)
class Questions:
    """As many as there are members that join. Whose turn it is asks for all who wait."""

    record: Record
    waiting: dict[Question, None] = field(default_factory=dict)  # an ordered set
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def ask(self, room: str, since: Place | None, limit: int) -> Found:
        """Where the room stands, and of what came after ``since`` at least the last ``limit``. ``RedisAway``."""
        question = Question(room, since, limit)
        self.waiting[question] = None
        try:
            async with self.turn:
                while not question.is_answered:
                    await self._answer_some()
        finally:
            self.waiting.pop(question, None)
        if question.answer is None:
            raise RedisAway
        return question.answer

    async def _answer_some(self) -> None:
        """Who asks is cancelled with its member; then the others still wait, and the next one asks."""
        groups: dict[tuple[str, str], list[Question]] = {}
        for question in self.waiting:
            of_whom = question.room, question.since.epoch if question.since is not None else ""
            if of_whom in groups or len(groups) < ROOMS_AT_ONCE:
                groups.setdefault(of_whom, []).append(question)
        since = [(room, _earliest(asked)) for (room, _), asked in groups.items()]
        limit = max(question.limit for asked in groups.values() for question in asked)
        found: list[Found | None] = [None] * len(since)
        try:
            found = await self.record.read(since, limit)
        except RedisAway:
            pass
        except Exception:  # noqa: BLE001 - one odd question must not take the others with it
            log.exception("questions_failed")
        if not any(found):  # nobody is there: who waits for a later turn need not find it out for itself
            groups, found = {("", ""): list(self.waiting)}, [None]
        for asked, answer in zip(groups.values(), found, strict=True):
            for question in asked:
                question.answer, question.is_answered = answer, True
                self.waiting.pop(question, None)


def _earliest(asked: list[Question]) -> Place | None:
    """Of places of one epoch."""
    return min((question.since for question in asked if question.since is not None), default=None)
