"""Bodies over a real connection: read up to the route's limit, inflated up to it, and no further."""

from __future__ import annotations

import asyncio
import gzip
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from io import BytesIO
from random import Random
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from waypost.platform.bodies import MAX_BODY_BYTES
from waypost.platform.routes import Route
from waypost.platform.web import problems, raw_body

MIB = 1024 * 1024
Post = Callable[..., Awaitable[tuple[int, Any]]]


@pytest.fixture
async def post(aiohttp_server: Callable[..., Awaitable[TestServer]]) -> AsyncIterator[Post]:
    """Send a body to a route that reads it twice and says how long it was; the status and the answer."""

    async def read(request: web.Request) -> web.Response:
        body = await raw_body(request)
        assert await raw_body(request) is body
        return web.json_response({"length": len(body)})

    app = web.Application(middlewares=[problems], handler_args={"auto_decompress": False})
    app.add_routes([Route("POST", "/usual", read).definition()])
    app.add_routes([Route("POST", "/large", read, body_limit=8 * MIB).definition()])
    server = await aiohttp_server(app)
    async with aiohttp.ClientSession() as session:

        async def call(data: object, encoding: str | None = None, path: str = "/usual") -> tuple[int, Any]:
            headers = {"Content-Encoding": encoding} if encoding else {}
            data = BytesIO(data) if isinstance(data, bytes) else data
            async with session.post(server.make_url(path), data=data, headers=headers) as answer:
                return answer.status, await answer.json(content_type=None)

        yield call


def raw_deflate(body: bytes) -> bytes:
    machine = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return machine.compress(body) + machine.flush()


def bomb(inflated: int, wbits: int) -> bytes:
    """A thousandth of its size. Blocks that end at a byte may be repeated; it breaks off at its end."""
    machine = zlib.compressobj(9, wbits=wbits)
    head = machine.compress(b"") + machine.flush(zlib.Z_FULL_FLUSH)
    block = machine.compress(bytes(MIB)) + machine.flush(zlib.Z_FULL_FLUSH)
    return head + block * (inflated // MIB)


# Without the time, which would be another name of the test each second.
gzipped = partial(gzip.compress, mtime=0)
PACKED = {"gzip": gzip.compress, "x-gzip": gzip.compress, "GZIP": gzip.compress, "deflate": zlib.compress,
          "Deflate ": raw_deflate, "identity": bytes}  # fmt: skip


@pytest.mark.parametrize("encoding", PACKED)
@pytest.mark.parametrize("length", [1, 500, MAX_BODY_BYTES])
async def test_a_body_up_to_the_limit_is_read_however_it_is_packed(post: Post, encoding: str, length: int):
    body = Random(length).randbytes(length // 2).ljust(length)  # noqa: S311 - a half that does not shrink
    assert await post(PACKED[encoding](body), encoding) == (200, {"length": length})


@pytest.mark.parametrize("encoding", PACKED)
async def test_one_byte_more_is_refused_and_the_limit_named(post: Post, encoding: str):
    status, answer = await post(PACKED[encoding](bytes(MAX_BODY_BYTES + 1)), encoding)
    assert (status, answer["code"], answer["limitBytes"]) == (413, "body-too-large", MAX_BODY_BYTES)
    assert str(MAX_BODY_BYTES) in answer["detail"]


async def test_a_route_may_take_more_and_keeps_to_that(post: Post):
    assert await post(bytes(8 * MIB), path="/large") == (200, {"length": 8 * MIB})
    assert await post(gzip.compress(bytes(8 * MIB), 1), "gzip", "/large") == (200, {"length": 8 * MIB})
    for data, encoding in ((bytes(8 * MIB + 1), None), (gzip.compress(bytes(8 * MIB + 1), 1), "gzip")):
        status, answer = await post(data, encoding, "/large")
        assert (status, answer["code"], answer["limitBytes"]) == (413, "body-too-large", 8 * MIB)


@pytest.mark.parametrize(
    ("encoding", "data"),
    [
        ("gzip", b"not gzip at all"),
        ("deflate", b"not deflate"),
        ("gzip", gzipped(b"x" * 5000)[:-9]),
        ("gzip", gzipped(b"x" * 5000)[:-1]),  # all is there but the last byte of its length
        ("deflate", zlib.compress(b"x" * 5000)[:-1]),
        ("deflate", raw_deflate(b"x" * 5000)[:-1]),
        ("gzip", gzipped(b"x") + b"more"),
        ("gzip", gzipped(b"x") * 2),
        ("gzip", gzipped(b"x" * 5000)[:-8] + bytes(8)),  # another body's check sum
    ],
)
async def test_what_is_not_packed_as_it_says_is_refused(post: Post, encoding: str, data: bytes):
    status, answer = await post(data, encoding)
    assert (status, answer["code"]) == (400, "bad-encoding")


@pytest.mark.parametrize("encoding", ["br", "zstd", "compress", "gzip, gzip", "x" * 3000])
async def test_other_encodings_are_refused_by_name(post: Post, encoding: str):
    status, answer = await post(b"x", encoding)
    assert (status, answer["code"], answer["encoding"]) == (415, "unsupported-encoding", encoding[:64])


async def test_an_empty_body_is_empty_however_it_is_packed(post: Post):
    assert await post(b"", "gzip") == (200, {"length": 0})


@pytest.mark.parametrize(("encoding", "wbits"), [("gzip", 31), ("deflate", 15), ("deflate", -15)])
async def test_a_bomb_is_cut_off_before_it_takes_memory(post: Post, encoding: str, wbits: int):
    packed = bomb(1000 * MIB, wbits)
    assert len(packed) < MAX_BODY_BYTES
    assert (await post(b"x"))[0] == 200  # whatever is made once is made
    tracemalloc.start()
    try:
        status, answer = await post(packed, encoding)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (status, answer["code"]) == (413, "body-too-large")
    assert peak < 8 * MIB


async def test_a_body_without_an_end_is_refused_at_the_limit(post: Post):
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 64 * 1024
            yield bytes(64 * 1024)

    async with asyncio.timeout(20):
        status, answer = await post(endless())
    assert (status, answer["code"]) == (413, "body-too-large")
