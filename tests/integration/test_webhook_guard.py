"""No way inside: private addresses are refused after the look-up and on the very connection, in every form of them."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from uuid import UUID

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from tests.fakes.clock import FakeClock
from waypost.platform.guarded import Guard, outside
from waypost.webhooks.domain import Due, Secret
from waypost.webhooks.rules import Outcome
from waypost_workers.channels.webhook import WebhookPoster

HERE = "127.0.0.0/8"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nkeys!"


class Names(AbstractResolver):
    """Answers with these addresses, the next answer each time that it is asked; ``asked``: how often it was."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers, self.asked = list(answers), 0

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        addresses = self.answers[min(self.asked, len(self.answers) - 1)]
        self.asked += 1
        families = [socket.AF_INET6 if ":" in each else socket.AF_INET for each in addresses]
        return [
            ResolveResult(hostname=host, host=each, port=port, family=of, proto=0, flags=0)
            for each, of in zip(addresses, families, strict=True)
        ]

    async def close(self) -> None:
        pass


class Inside:
    """A service of the house; ``reached``: how many connections came, even such as say nothing."""

    def __init__(self) -> None:
        self.reached, self.port = 0, 0

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reached += 1
        await reader.readuntil(b"\r\n\r\n")
        writer.write(ANSWER)
        await writer.drain()
        writer.close()


@pytest.fixture
async def inside() -> AsyncIterator[Inside]:
    house = Inside()
    server = await asyncio.start_server(house.connected, "127.0.0.1", 0)
    house.port = server.sockets[0].getsockname()[1]
    yield house
    server.close()


@asynccontextmanager
async def posting(guard: Guard, names: Names | None = None, timeout_s: float = 5) -> AsyncIterator[WebhookPoster]:
    async with outside(guard, names) as out:
        yield WebhookPoster(out, FakeClock(), timeout_s)


async def post(poster: WebhookPoster, url: str) -> Outcome:
    some = UUID(int=1)
    return await poster.post(Due(some, some, some, some, "{}", 1, 8, url, [Secret("whsec_YQ==")]))


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "0.0.0.0", "[::ffff:127.0.0.1]",  # noqa: S104
        "[::ffff:7f00:1]", "[::1]", "localhost", "localhost.", "127.0.0.1.",
    ],
)  # fmt: skip
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_no_form_of_an_address_of_this_machine_is_connected_to(inside: Inside, host: str, scheme: str):
    async with posting(Guard()) as poster:
        outcome = await post(poster, f"{scheme}://{host}:{inside.port}/")
    assert not outcome.taken
    assert outcome.answer is None
    assert inside.reached == 0


@pytest.mark.parametrize(
    "answer",
    [["127.0.0.1"], ["::ffff:127.0.0.1"], ["169.254.169.254"], ["10.0.0.1", "192.168.0.1"], ["fd00:ec2::254"]],
    ids=["loopback", "mapped", "metadata", "private", "metadata-6"],
)
async def test_a_name_that_means_an_address_inside_is_refused_by_that_reason(inside: Inside, answer: list[str]):
    async with posting(Guard(), Names(answer)) as poster:
        outcome = await post(poster, f"https://example.com:{inside.port}/")
    assert outcome.reason == "address_refused"
    assert inside.reached == 0


async def test_a_name_that_changes_its_meaning_gains_nothing(inside: Inside):
    """Rebinding: allowed when it is first looked at, inside when it is called again; one look-up a connection."""
    names = Names(["127.0.0.1"], ["127.9.9.9"])
    async with posting(Guard.of("127.0.0.1/32"), names) as poster:
        first = await post(poster, f"http://example.com:{inside.port}/")
        poster.out.plain.connector.clear_dns_cache()  # type: ignore[union-attr]
        second = await post(poster, f"http://example.com:{inside.port}/")
    assert (first.taken, names.asked) == (True, 2)
    assert second.reason == "address_refused"
    assert inside.reached == 1


async def test_of_many_addresses_only_an_allowed_one_is_connected_to(inside: Inside):
    names = Names(["10.0.0.1", "127.0.0.2", "127.0.0.1"])
    async with posting(Guard.of("127.0.0.1/32"), names) as poster:
        outcome = await post(poster, f"http://example.com:{inside.port}/")
    assert outcome.taken
    assert inside.reached == 1


async def test_in_the_clear_goes_only_where_the_operator_said_so(inside: Inside):
    async with posting(Guard.of("10.0.0.0/8"), Names(["8.8.8.8"])) as poster:
        assert (await post(poster, "http://example.com/")).reason == "address_refused"
    async with posting(Guard.of(HERE)) as poster:
        outcome = await post(poster, f"http://127.0.0.1:{inside.port}/")
    assert (outcome.taken, outcome.answer) == (True, "keys!")


@pytest.mark.parametrize("url", ["https://", "http://[::1", "gopher://127.0.0.1/", "https:///x", "x"])
async def test_what_is_no_address_is_not_taken_and_raises_nothing(url: str):
    async with posting(Guard.of(HERE)) as poster:
        assert not (await post(poster, url)).taken


async def test_what_never_answers_is_given_up_in_time():
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with posting(Guard.of(HERE), timeout_s=0.2) as poster:
        outcome = await post(poster, f"http://127.0.0.1:{port}/")
    server.close()
    assert (outcome.taken, outcome.reason) == (False, "timeout")


async def test_of_an_answer_without_end_a_kilobyte_is_read():
    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n\0\xff")
        try:
            while not writer.is_closing():
                writer.write(b"x" * 65_536)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(endless, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with posting(Guard.of(HERE)) as poster:
        outcome = await post(poster, f"http://127.0.0.1:{port}/")
    server.close()
    assert outcome.taken
    assert outcome.answer == "\ufffd\ufffd" + "x" * 1022
