"""The link itself: what it does to an echo behind it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.chaos.proxy import CHUNK, Proxy, proxy_to
from tests.servers import folder
from tests.waiting import until

QUIET_S = 0.1  # long enough for loopback, short enough for a test
WORDS = b"where are you? "


@asynccontextmanager
async def echo() -> AsyncIterator[int]:
    """A server that says again what it hears; its port."""

    async def say_again(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(CHUNK):
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(say_again, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


class Caller:
    """A client of the link."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def say(self, data: bytes = WORDS) -> bytes:
        """What came back."""
        self.writer.write(data)
        return await asyncio.wait_for(self.reader.readexactly(len(data)), 10)

    async def hears_nothing(self) -> bool:
        try:
            await asyncio.wait_for(self.reader.read(1), QUIET_S)
        except TimeoutError:
            return True
        return False


@pytest.fixture
async def link() -> AsyncIterator[Proxy]:
    async with echo() as port, proxy_to(port) as proxy:
        yield proxy


@pytest.fixture
async def caller(link: Proxy) -> AsyncIterator[Caller]:
    async with calling(link) as made:
        yield made


@asynccontextmanager
async def calling(link: Proxy) -> AsyncIterator[Caller]:
    reader, writer = await asyncio.open_connection("127.0.0.1", link.port)
    try:
        yield Caller(reader, writer)
    finally:
        writer.close()


async def test_a_good_link_passes_everything_both_ways_and_the_end_too(link: Proxy, caller: Caller):
    much = bytes(range(256)) * 4096
    saying = asyncio.ensure_future(caller.say(much))
    assert await saying == much
    assert link.to_server.passed == link.to_client.passed == len(much)
    caller.writer.write_eof()
    assert await caller.reader.read() == b""
    await until(lambda: not link.connections)


async def test_a_cut_is_a_reset_of_what_is_open_and_the_next_connection_is_good(link: Proxy, caller: Caller):
    await caller.say()
    link.cut()
    with pytest.raises(ConnectionResetError):
        await caller.reader.readexactly(1)
    async with calling(link) as another:
        assert await another.say() == WORDS


async def test_who_is_refused_is_reset_at_once(link: Proxy):
    link.refusing = True
    async with calling(link) as refused:
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await refused.reader.readexactly(1)
    link.heal()
    async with calling(link) as another:
        assert await another.say() == WORDS


async def test_half_open_takes_bytes_says_nothing_and_stays_dead_when_healed(link: Proxy, caller: Caller):
    await caller.say()
    link.half_open()
    caller.writer.write(WORDS)
    assert await caller.hears_nothing()
    async with calling(link) as late:  # who connects meanwhile is not refused: nobody is there to do it
        late.writer.write(WORDS)
        assert await late.hears_nothing()
        link.heal()
        caller.writer.write(WORDS)
        assert await caller.hears_nothing()
        assert await late.hears_nothing()
    async with calling(link) as another:
        assert await another.say() == WORDS


async def test_a_quiet_connection_survives_a_half_open_moment(link: Proxy, caller: Caller):
    await caller.say()
    link.half_open()
    link.heal()
    assert await caller.say() == WORDS


async def test_only_the_answers_are_lost_when_only_their_way_is(link: Proxy, caller: Caller):
    link.to_client.lost = True
    caller.writer.write(WORDS)
    await until(lambda: link.to_server.passed == len(WORDS))
    assert await caller.hears_nothing()
    assert link.to_client.passed == 0


async def test_a_frozen_link_loses_nothing(link: Proxy, caller: Caller):
    await caller.say()
    link.freeze()
    caller.writer.write(WORDS)
    assert await caller.hears_nothing()
    link.heal()
    assert await asyncio.wait_for(caller.reader.readexactly(len(WORDS)), 10) == WORDS


async def test_latency_delays_each_way_and_keeps_the_order(link: Proxy, caller: Caller):
    loop = asyncio.get_running_loop()
    link.slow(latency_s=0.1)
    began = loop.time()
    assert await caller.say() == WORDS
    assert loop.time() - began >= 0.19
    much = bytes(range(256)) * 1024
    assert await caller.say(much) == much


async def test_a_narrow_link_takes_its_time(link: Proxy, caller: Caller):
    loop, much = asyncio.get_running_loop(), b"x" * 20_000
    link.to_client.bytes_per_s = 100_000
    began = loop.time()
    assert await caller.say(much) == much
    assert loop.time() - began >= 0.19


async def test_a_server_that_is_not_there_is_a_reset():
    async with echo() as port:
        pass
    async with proxy_to(port) as link, calling(link) as caller:
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await caller.reader.readexactly(1)


async def test_a_server_on_a_unix_socket():
    async def say_again(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readexactly(len(WORDS)))
        writer.close()

    with folder() as place:
        path = Path(place, "echo.sock")
        server = await asyncio.start_unix_server(say_again, path)
        async with proxy_to(path) as link, calling(link) as caller:
            assert await caller.say() == WORDS
        server.close()
