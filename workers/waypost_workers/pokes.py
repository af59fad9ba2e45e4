"""What the relay gives to the workers beside deliveries and jobs: rows that are due, by their ids."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from arq.connections import ArqRedis
from redis.exceptions import RedisError

from waypost.payments.prompts import Prompts
from waypost.payments.statements import Statements
from waypost.platform.database import SYSTEM, Database
from waypost_workers.functions import prompts, statements
from waypost_workers.queues import QueueName

STATEMENTS_AT_ONCE, PROMPTS_AT_ONCE = 20, 100


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


@dataclass(frozen=True, slots=True)
class PromptPokes:
    """Phones to ask, and prompts to ask about: a person waits for them, as for an urgent notice."""

    database: Database
    prompts: Prompts

    async def give_out(self, queues: ArqRedis) -> None:
        """Each claim is one attempt."""
        async with self.database.transaction(SYSTEM) as conn:
            wakes = await self.prompts.due_prompts(conn, PROMPTS_AT_ONCE)
        for given, wake in enumerate(wakes):
            try:
                await queues.enqueue_job(
                    prompts.NAME,
                    str(wake.org_id),
                    str(wake.prompt_id),
                    wake.caused_by,
                    _job_id=f"p:{wake.prompt_id}:{wake.attempt}",
                    _queue_name=QueueName.URGENT.key,
                )
            except (RedisError, OSError):
                async with self.database.transaction(SYSTEM) as conn:
                    await self.prompts.untold(conn, wakes[given:])
                raise
