"""What the relay gives to the workers beside deliveries and jobs: rows that are due, by their ids."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from arq.connections import ArqRedis
from redis.exceptions import RedisError

from waypost.payments.statements import Statements
from waypost.platform.database import SYSTEM, Database
from waypost_workers.functions import statements
from waypost_workers.queues import QueueName

STATEMENTS_AT_ONCE = 20


class Pokes(Protocol):
    """Rows of one kind that no worker holds."""

    async def give_out(self, queues: ArqRedis) -> None:
        """Tell the workers of those that are due. As with deliveries the job's id holds the attempt."""
        ...


@dataclass(frozen=True, slots=True)
class StatementPokes:
    """Providers' statements."""

    database: Database
    statements: Statements

    async def give_out(self, queues: ArqRedis) -> None:
        """Each turn of a worker is one attempt."""
        async with self.database.transaction(SYSTEM) as conn:
            pokes = await self.statements.due_statements(conn, STATEMENTS_AT_ONCE)
        for given, poke in enumerate(pokes):
            try:
                await queues.enqueue_job(
                    statements.NAME,
                    str(poke.org_id),
                    str(poke.id),
                    _job_id=f"s:{poke.id}:{poke.attempt}",
                    _queue_name=QueueName.JOBS.key,
                )
            except (RedisError, OSError):
                async with self.database.transaction(SYSTEM) as conn:
                    await self.statements.untold(conn, pokes[given:])
                raise
