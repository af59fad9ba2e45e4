"""What Redis keeps of the rooms: their counters, and for a while their events. Written and read by scripts only."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, TypeVar

from redis.exceptions import ResponseError

from waypost.kernel.errors import Unavailable
from waypost.realtime.events import Event, Outgoing, Place
from waypost.realtime.link import AWAY
from waypost.realtime.scripts import CALL_ROOMS, Call, Lives, Publish, Unreadable, publish_calls, read, read_call
from waypost.realtime.shards import Shard, Shards

ANSWER_TIMEOUT_S: Final = 2.0
TRIES: Final = 3
TRY_AGAIN_S: Final = 0.05
ELSEWHERE: Final = ("MOVED", "ASK", "TRYAGAIN", "CLUSTERDOWN")  # nothing was done: another has the slot, now or soon
Since: TypeAlias = tuple[str, Place | None]
Found: TypeAlias = tuple[Place, list[Event]]
T = TypeVar("T")


class RedisAway(Unavailable):
    """Live updates are interrupted; try again shortly."""

    code = "realtime-away"
    unsent: Sequence[Outgoing] = ()  # of what was to be sent, that of which it is not known that it was
    sent: Sequence[tuple[Outgoing, Place]] = ()  # and the rest
    is_told_here: bool = False  # members of this node have heard of ``unsent``


@dataclass(slots=True)
class Record:
    """Publishing and reading, each in as few calls and pipelines as may be."""

    shards: Shards
    lives: Lives

    async def publish(self, events: Sequence[Outgoing]) -> list[tuple[Outgoing, Place]]:
        """Number, keep and publish; the place of each that was, in the order of its room. An event whose key is known
        has none. ``RedisAway`` says which of them may not have been published.
        """
        done: list[tuple[Outgoing, Place]] = []
        failed = await self._publish(events, done)
        for _ in range(TRIES - 1):
            if not failed or not await self._may_try_again([error for _, error in failed]):
                break
            failed = await self._publish(_unsent(failed), done)
        if failed:
            away = RedisAway()
            away.unsent, away.sent = _unsent(failed), done
            raise away from failed[0][1]
        return done

    async def _publish(
        self, events: Sequence[Outgoing], done: list[tuple[Outgoing, Place]]
    ) -> list[tuple[Publish, Exception]]:
        """Adds to ``done``; the calls that failed."""
        new_epoch = secrets.token_hex(8)  # for rooms that have none
        calls: dict[Shard, list[tuple[Call, Publish]]] = {}
        try:
            groups = await self._groups(events, [event.room for event in events])
        except RedisAway as away:
            away.unsent, away.sent = events, done
            raise
        for shard, group in groups:
            marked = [(publish.call, publish) for publish in publish_calls(group, new_epoch, self.lives)]
            calls.setdefault(shard, []).extend(marked)
        failed: list[tuple[Publish, Exception]] = []
        for publish, answer in await _ask_all(calls):
            if isinstance(answer, Exception):
                failed.append((publish, answer))
                continue
            for of_room, (epoch, numbers) in zip(publish.rooms, answer, strict=True):
                numbered = zip(of_room, numbers, strict=True)
                done += [(event, Place(epoch.decode(), seq)) for event, seq in numbered if seq]
        return failed

    async def read(self, since: Sequence[Since], limit: int) -> list[Found | None]:
        """Where each room stands, and what came after that place, at most its last ``limit`` events. None: nobody
        answered for the room.
        """
        found: list[Found | None] = [None] * len(since)
        left = list(range(len(since)))
        for _ in range(TRIES):
            errors = await self._read(since, left, limit, found)
            left = [at for at in left if found[at] is None]
            if not left or not await self._may_try_again(errors):
                break
        return found

    async def _read(
        self, since: Sequence[Since], wanted: Sequence[int], limit: int, found: list[Found | None]
    ) -> list[Exception]:
        """Fills ``found`` where it is wanted; the errors that were met."""
        new_epoch = secrets.token_hex(8)
        calls: dict[Shard, list[tuple[Call, list[int]]]] = {}
        for shard, group in await self._groups(wanted, [since[at][0] for at in wanted]):
            for start in range(0, len(group), CALL_ROOMS):
                part = group[start : start + CALL_ROOMS]
                call = read_call([since[at] for at in part], new_epoch, self.lives.counter_s, limit)
                calls.setdefault(shard, []).append((call, part))
        errors: list[Exception] = []
        for part, answer in await _ask_all(calls):
            if isinstance(answer, Exception):
                errors.append(answer)
                continue
            for at, of_room in zip(part, answer, strict=True):
                found[at] = read(since[at][0], of_room)
        return errors

    async def _groups(self, items: Sequence[T], rooms: Sequence[str]) -> list[tuple[Shard, list[T]]]:
        if not self.shards.owners:
            try:
                async with asyncio.timeout(ANSWER_TIMEOUT_S):
                    await self.shards.ready()
            except AWAY as error:
                raise RedisAway from error
        return list(self.shards.groups(items, rooms))

    async def _may_try_again(self, errors: Sequence[Exception]) -> bool:
        if not errors or not all(_is_elsewhere(error) for error in errors):
            return False
        await asyncio.sleep(TRY_AGAIN_S)
        await self.look_around()
        return True

    async def look_around(self) -> None:
        """Ask who has which slot now; who cannot be asked has not moved."""
        with suppress(*AWAY):
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                await self.shards.refresh()


def _unsent(failed: Sequence[tuple[Publish, Exception]]) -> list[Outgoing]:
    return [event for publish, _ in failed for room in publish.rooms for event in room]


def _is_elsewhere(error: Exception) -> bool:
    return isinstance(error, ResponseError) and str(error).partition(" ")[0] in ELSEWHERE


async def _ask_all(calls: Mapping[Shard, Sequence[tuple[Call, T]]]) -> list[tuple[T, Any]]:
    """Each call's mark with its answer, or with the error that stands for it."""
    if len(calls) == 1:
        return await _ask(*next(iter(calls.items())))
    found = await asyncio.gather(*(_ask(*each) for each in calls.items()))
    return [each for of_shard in found for each in of_shard]


async def _ask(shard: Shard, marked: Sequence[tuple[Call, T]]) -> list[tuple[T, Any]]:
    answers: Sequence[Any]
    try:
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            answers = await shard.answers([call for call, _ in marked])
    except (*AWAY, Unreadable) as error:
        answers = [error] * len(marked)
    return [(mark, answer) for (_, mark), answer in zip(marked, answers, strict=True)]
