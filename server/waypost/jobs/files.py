"""A job's file: pieces in PostgreSQL, each compressed by itself, read a few at a time."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable

from waypost.jobs import storage
from waypost.jobs.domain import Job, JobFileExpired
from waypost.jobs.storage import Chunk
from waypost.platform.database import Database

AT_A_TIME = 4


class FileTorn(Exception):
    """The pieces are not the file that was written: a mistake of ours, or of who changed the table."""


def pack(number: int, data: bytes) -> Chunk:
    """A piece as it is stored."""
    return Chunk(number, len(data), zlib.compress(data))


async def read(database: Database, job: Job) -> AsyncIterator[bytes]:
    """The file in order. ``JobFileExpired`` when it is deleted meanwhile: then what was given is not the whole."""
    for first in range(0, job.next_chunk, AT_A_TIME):
        async with database.transaction(job.org_id) as conn:
            chunks = await storage.chunks(conn, job.org_id, job.id, first, AT_A_TIME)
        wanted = list(range(first, min(first + AT_A_TIME, job.next_chunk)))
        if [chunk.n for chunk in chunks] != wanted:
            raise JobFileExpired
        for chunk in chunks:
            yield zlib.decompress(chunk.bytes)


async def digest(database: Database, job: Job, hold: Callable[[], Awaitable[None]]) -> bytes:
    """The SHA-256 of the whole file as it is stored; ``hold`` is called on the way. ``FileTorn`` unless it is whole."""
    sha256, size = hashlib.sha256(), 0
    try:
        async for data in read(database, job):
            sha256.update(data)
            size += len(data)
            await hold()
    except JobFileExpired as error:
        raise FileTorn(f"job {job.id} lacks a piece") from error
    if size != job.file_size:
        raise FileTorn(f"job {job.id} has {size} bytes in place of {job.file_size}")
    return sha256.digest()
