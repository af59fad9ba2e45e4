"""What the relay gives to the workers beside deliveries: rows that are due, by their ids."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, NamedTuple, Protocol, TypeVar

from arq.connections import ArqRedis
from redis.exceptions import RedisError

from waypost.jobs.service import Jobs
from waypost.notifications.lookups import LookUpDues
from waypost.payments.prompts import Prompts
from waypost.payments.registrations import Registrations
from waypost.payments.reversals import Reversals
from waypost.payments.statements import Statements
from waypost.platform.database import SYSTEM, Connection, Database
from waypost.webhooks.sending import Dues
from waypost_workers.functions import jobs, lookups, prompts, registrations, reversals, statements, webhooks
from waypost_workers.queues import QueueName

JOBS_AT_ONCE, STATEMENTS_AT_ONCE, PROMPTS_AT_ONCE, WEBHOOKS_AT_ONCE, LOOKUPS_AT_ONCE = 100, 20, 100, 2000, 100
W = TypeVar("W")


class Pokes(Protocol):
    """Rows of one kind that no worker holds."""

    async def give_out(self, queues: ArqRedis) -> None:
        """Tell the workers of those that are due."""
        ...


class Call(NamedTuple):
    """A function of the workers with its arguments, in the line where it stands.

    ``job_id`` holds the attempt, as with deliveries: a copy of a job that waits or runs is refused by arq, and one that
    slips through finds nothing to claim. Each turn of a worker is one attempt.
    """

    name: str
    arguments: Sequence[str | None]
    job_id: str
    queue: QueueName


@dataclass(frozen=True, slots=True)
class RowPokes(Generic[W]):
    """``due``: names up to so many rows, which count as told from then on; ``untold``: takes that back."""

    database: Database
    due: Callable[[Connection, int], Awaitable[Sequence[W]]]
    untold: Callable[[Connection, Sequence[W]], Awaitable[None]]
    call: Callable[[W], Call]
    at_once: int

    async def give_out(self, queues: ArqRedis) -> None:
        """Tell the workers; those that could not be told of are due as before."""
        async with self.database.transaction(SYSTEM) as conn:
            rows = await self.due(conn, self.at_once)
        for given, row in enumerate(rows):
            call = self.call(row)
            try:
                await queues.enqueue_job(call.name, *call.arguments, _job_id=call.job_id, _queue_name=call.queue.key)
            except (RedisError, OSError):
                async with self.database.transaction(SYSTEM) as conn:
                    await self.untold(conn, rows[given:])
                raise


def job_pokes(database: Database, service: Jobs) -> Pokes:
    """Exports and reports."""
    return RowPokes(
        database,
        service.due_jobs,
        service.untold,
        lambda wake: Call(
            jobs.NAME, (str(wake.org_id), str(wake.job_id)), f"j:{wake.job_id}:{wake.attempt}", QueueName.JOBS
        ),
        JOBS_AT_ONCE,
    )


def statement_pokes(database: Database, service: Statements) -> Pokes:
    """Providers' statements."""
    return RowPokes(
        database,
        service.due_statements,
        service.untold,
        lambda poke: Call(
            statements.NAME, (str(poke.org_id), str(poke.id)), f"s:{poke.id}:{poke.attempt}", QueueName.JOBS
        ),
        STATEMENTS_AT_ONCE,
    )


def prompt_pokes(database: Database, service: Prompts) -> Pokes:
    """Phones to ask, and prompts to ask about: a person waits for them, as for an urgent notice."""
    return RowPokes(
        database,
        service.due_prompts,
        service.untold,
        lambda wake: Call(
            prompts.NAME,
            (str(wake.org_id), str(wake.prompt_id), wake.caused_by),
            f"p:{wake.prompt_id}:{wake.attempt}",
            QueueName.URGENT,
        ),
        PROMPTS_AT_ONCE,
    )


def reversal_pokes(database: Database, service: Reversals) -> Pokes:
    """Payments that a provider is to take back, in the same line."""
    return RowPokes(
        database,
        service.due,
        service.untold,
        lambda wake: Call(
            reversals.NAME,
            (str(wake.org_id), str(wake.id), wake.caused_by),
            f"r:{wake.id}:{wake.attempt}",
            QueueName.URGENT,
        ),
        PROMPTS_AT_ONCE,
    )


def registration_pokes(database: Database, service: Registrations) -> Pokes:
    """Providers that are to be told our addresses, in the same line."""
    return RowPokes(
        database,
        service.due,
        service.untold,
        lambda wake: Call(
            registrations.NAME, (str(wake.org_id), str(wake.id)), f"c:{wake.id}:{wake.attempt}", QueueName.URGENT
        ),
        PROMPTS_AT_ONCE,
    )


def lookup_pokes(database: Database, dues: LookUpDues) -> Pokes:
    """Messages in doubt that their provider can be asked about."""
    return RowPokes(
        database,
        dues.due,
        dues.untold,
        lambda wake: Call(
            lookups.NAME,
            (str(wake.org_id), str(wake.id)),
            f"u:{wake.id}:{wake.attempt}:{wake.turn}",
            QueueName.BULK,
        ),
        LOOKUPS_AT_ONCE,
    )


def webhook_pokes(database: Database, dues: Dues) -> Pokes:
    """Events for subscribers: of each webhook its share, in a line of their own."""
    return RowPokes(
        database,
        dues.due,
        dues.untold,
        lambda wake: Call(
            webhooks.NAME,
            (str(wake.org_id), str(wake.webhook_id), str(wake.id)),
            f"w:{wake.id}:{wake.attempt}",
            QueueName.WEBHOOKS,
        ),
        WEBHOOKS_AT_ONCE,
    )
