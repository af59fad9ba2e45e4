"""The queues: their names, and the one way to reach them. A queue carries wake-ups; what is owed stands in PostgreSQL.

Jobs hold ids only, in msgpack, never pickle, so that who can write Redis runs no code here.
"""

from __future__ import annotations

from enum import StrEnum
from functools import partial

import msgpack
from arq.connections import ArqRedis
from redis.asyncio import ConnectionPool

CONNECT_TIMEOUT_S, ANSWER_TIMEOUT_S = 2.0, 10.0
JOB_EXPIRES_S = 3600.0  # a job that nobody took by then is given out anew by who keeps the row

encode = partial(msgpack.packb, default=repr)  # a failed job's exception becomes its text
decode = msgpack.unpackb


class QueueName(StrEnum):
    """Which workers' line. Nothing long stands in the first two: a job there is as long as one try to send."""

    URGENT = "urgent"
    BULK = "bulk"
    JOBS = "jobs"
    WEBHOOKS = "webhooks"  # subscribers' addresses: whether they answer is not in our hands

    @property
    def key(self) -> str:
        """Its name in Redis."""
        return f"waypost:{self}"


def open_queues(redis_url: str) -> ArqRedis:
    """A client of its own: one that hangs on a dead link gives up, and its process is started again."""
    pool = ConnectionPool.from_url(
        redis_url,
        socket_connect_timeout=CONNECT_TIMEOUT_S,
        socket_timeout=ANSWER_TIMEOUT_S,
        client_name="waypost-queues",
    )
    return ArqRedis(
        pool,
        job_serializer=encode,
        job_deserializer=decode,
        default_queue_name=QueueName.URGENT.key,
        expires_extra_ms=int(JOB_EXPIRES_S * 1000),
    )


async def close_queues(queues: ArqRedis) -> None:
    """With its connections, which are its own."""
    await queues.aclose(close_connection_pool=True)
