"""Who is let in, how often they may ask, and how their time runs out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest

from tests.fakes.clock import NOON, FakeClock
from waypost.kernel.errors import NotFound, Unauthenticated
from waypost.kernel.principal import Admitted, Principal, Role
from waypost.platform import codec
from waypost.realtime.commands import Commands, Handler
from waypost.realtime.door import AnotherPrincipal, Door
from waypost.realtime.limits import Bucket, Counts, Most, TooManyConnections
from waypost.realtime.recovery import since_of

ANNA = Principal(UUID(int=1), Role.OWNER, user_id=UUID(int=2), session_id=UUID(int=3))


@dataclass
class Gate:
    """Knows tokens."""

    tokens: dict[str, Admitted] = field(default_factory=dict)

    async def __call__(self, token: str) -> Admitted:
        if token not in self.tokens:
            raise Unauthenticated
        return self.tokens[token]


@dataclass
class Voice:
    """Keeps what was said to whom."""

    said: list[tuple[str, str, Any]] = field(default_factory=list)
    cut: list[tuple[str, str | None]] = field(default_factory=list)

    def tell(self, sid: str, name: str, body: msgspec.Struct) -> None:
        self.said.append((sid, name, codec.plain(body)))

    async def disconnect(self, sid: str, *, code: str | None = None, detail: str = "") -> None:
        assert detail
        self.cut.append((sid, code))


def door(most: Most = Most(), **tokens: Admitted) -> Door:  # noqa: B008 - frozen
    return Door(Gate(tokens), FakeClock(), Counts(most))


@asynccontextmanager
async def watched(by: Door) -> AsyncIterator[Voice]:
    voice = Voice()
    task = asyncio.create_task(by.watch(voice))
    await asyncio.sleep(0)
    try:
        yield voice
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_one_token_after_another_keeps_a_connection():
    here = door(old=Admitted(ANNA, NOON + timedelta(seconds=90)), new=Admitted(ANNA, NOON + timedelta(seconds=900)))
    await here.let_in("s", "old", "192.0.2.1")
    async with watched(here) as voice:
        assert isinstance(here.clock, FakeClock)
        await here.clock.advance(65)
        assert voice.said == [("s", "auth:expiring", {"inMs": 30_000})]
        assert (await here.renew("s", "new")).expires_in_ms == 835_000
        await here.clock.advance(300)
        assert voice.cut == []


async def test_who_does_not_refresh_is_told_so_and_shown_out():
    here = door(short=Admitted(ANNA, NOON + timedelta(seconds=9)))
    await here.let_in("s", "short", "192.0.2.1")
    async with watched(here) as voice:
        assert isinstance(here.clock, FakeClock)
        await here.clock.advance(10)
        assert [name for _, name, _ in voice.said] == ["auth:expiring"]
        assert voice.cut[:1] == [("s", "token-expired")]


async def test_a_devices_token_does_not_expire():
    here = door(device=Admitted(ANNA, None))
    await here.let_in("s", "device", "192.0.2.1")
    async with watched(here) as voice:
        assert isinstance(here.clock, FakeClock)
        await here.clock.advance(3600)
        assert (voice.said, voice.cut) == ([], [])


@pytest.mark.parametrize("change", [{"role": Role.VIEWER}, {"user_id": UUID(int=9)}, {"org_id": UUID(int=9)}])
async def test_somebody_elses_token_renews_nothing(change: dict[str, Any]):
    here = door(mine=Admitted(ANNA, None), other=Admitted(replace(ANNA, **change), None))
    await here.let_in("s", "mine", "192.0.2.1")
    with pytest.raises(AnotherPrincipal):
        await here.renew("s", "other")


async def test_another_sign_in_of_the_same_person_renews():
    here = door(mine=Admitted(ANNA, None), again=Admitted(replace(ANNA, session_id=UUID(int=8)), None))
    await here.let_in("s", "mine", "192.0.2.1")
    await here.renew("s", "again")
    assert here.principals() == {replace(ANNA, session_id=UUID(int=8))}


@pytest.mark.parametrize(
    ("most", "words"),
    [
        (Most(per_person=2), "You hold 2"),
        (Most(per_organisation=2), "Your organisation holds 2"),
        (Most(per_address=2), "Your network address holds 2"),
    ],
)
async def test_too_many_connections_are_refused_by_the_name_of_who_has_them(most: Most, words: str):
    here = door(most, t=Admitted(ANNA, None))
    for sid in ("a", "b"):
        await here.let_in(sid, "t", "192.0.2.1")
    with pytest.raises(TooManyConnections, match=words):
        await here.let_in("c", "t", "192.0.2.1")
    here.let_go("a")
    here.let_go("a")
    await here.let_in("c", "t", "192.0.2.1")
    with pytest.raises(TooManyConnections):
        await here.let_in("d", "t", "192.0.2.1")


async def test_a_refused_connection_is_not_counted():
    here = door(Most(per_address=1, per_organisation=1), t=Admitted(ANNA, None))
    for _ in range(3):
        with pytest.raises(Unauthenticated):
            await here.let_in("x", "wrong", "192.0.2.1")
    await here.let_in("a", "t", "192.0.2.1")
    here.let_go("a")
    assert not here.counts.held


def test_a_bucket_fills_again_with_time():
    bucket = Bucket(per_s=2, burst=3)
    assert [bucket.spend(0) for _ in range(4)] == [True, True, True, False]
    assert bucket.is_empty(0.4)
    assert [bucket.spend(0.5), bucket.spend(0.5)] == [True, False]
    assert [bucket.spend(100) for _ in range(4)] == [True, True, True, False]


NO_PLACES: list[object] = [None, 7, "x", [], {}, {"epoch": "e"}]
NO_PLACES += [{"epoch": "e" * 16, "seq": seq} for seq in (True, -1, 1e3, 1 << 53, "1")]
NO_PLACES += [
    {"epoch": epoch, "seq": 1} for epoch in ("", 3, None, "e", "e" * 17, "E" * 16, "\ud800" * 16, "e" * 16 + "\n")
]


@pytest.mark.parametrize("value", NO_PLACES)
def test_a_since_that_makes_no_sense_is_none(value: object):
    assert since_of(value) is None


def test_a_since_before_any_event_is_one():
    assert since_of({"epoch": "e" * 16, "seq": 0, "more": 1}) == ("e" * 16, 0)


async def nothing_there(_principal: Principal, _sid: str, _argument: object) -> dict[str, object]:
    raise NotFound


async def test_who_searches_for_rooms_is_stopped_and_may_go_on_later():
    here = door(t=Admitted(ANNA, None))
    await here.let_in("s", "t", "192.0.2.1")
    commands = Commands(here, here.clock, {"trip:join": Handler(nothing_there, joins=True)})
    codes = [await code_of(commands, "trip:join") for _ in range(12)]
    assert codes == ["not-found"] * 10 + ["joins-too-many"] * 2
    assert isinstance(here.clock, FakeClock)
    await here.clock.advance(6)
    assert [await code_of(commands, "trip:join") for _ in range(2)] == ["not-found", "joins-too-many"]


async def test_a_flood_of_events_is_answered_with_too_many():
    here = door(t=Admitted(ANNA, None))
    await here.let_in("s", "t", "192.0.2.1")
    commands = Commands(here, here.clock)
    codes = {await code_of(commands, "nothing") for _ in range(600)}
    assert codes == {"unknown-event", "too-many"}


async def code_of(commands: Commands, name: str) -> object:
    ack: dict[str, Any] = await commands.answer("s", name, [{}])
    assert ack["ok"] is False
    return ack["error"]["code"]


async def test_a_crowd_that_comes_in_asks_the_database_a_few_at_a_time():
    asking, most = 0, 0

    async def slowly(_token: str) -> Admitted:
        nonlocal asking, most
        asking += 1
        most = max(most, asking)
        await asyncio.sleep(0)
        asking -= 1
        return Admitted(ANNA, None)

    here = Door(slowly, FakeClock(), Counts(Most()), asyncio.Semaphore(3))
    await asyncio.gather(*(here.let_in(str(n), "t", "192.0.2.1") for n in range(50)))
    assert (most, len(here.connections)) == (3, 50)
