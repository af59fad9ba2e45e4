"""Jobs that run in a line cost the next ones no questions."""

from __future__ import annotations

import asyncio
from typing import Any

from redis.asyncio import Redis

from tests.waiting import until
from waypost.settings import Settings
from waypost_workers import lines
from waypost_workers.functions import webhooks
from waypost_workers.queues import QueueName, close_queues, open_queues

RUNNING, PASSES = 30, 5


class Sender:
    """Its turns do not end before ``over``."""

    def __init__(self) -> None:
        self.turns: list[Any] = []
        self.over = asyncio.Event()

    async def turn(self, *ids: Any) -> int:
        self.turns.append(ids)
        await self.over.wait()
        return 1


async def calls(redis: Redis, command: str) -> int:
    """How often Redis was asked that, in all."""
    found = await redis.info("commandstats")
    return int(found.get(f"cmdstat_{command}", {}).get("calls", 0))


async def test_jobs_that_run_are_not_asked_about_one_by_one_and_the_next_begins_beside_them(
    environment: dict[str, str],
):
    settings, sender, stop = Settings.from_env(environment), Sender(), asyncio.Event()
    assert settings.redis_url is not None
    queues = open_queues(settings.redis_url.get_secret_value())
    await queues.flushall()

    async def put(number: int) -> None:
        ids = [f"00000000-0000-7000-8000-{number:012}"] * 3
        await queues.enqueue_job(webhooks.NAME, *ids, _job_id=f"w:{number}:1", _queue_name=QueueName.WEBHOOKS.key)

    worker = lines.build(settings, QueueName.WEBHOOKS, {"webhook_sender": sender})
    work = asyncio.create_task(lines.run([worker], stop, grace_s=5))
    try:
        for number in range(RUNNING):
            await put(number)
        await until(lambda: len(sender.turns) == RUNNING)
        asked, passes = await calls(queues, "watch"), await calls(queues, "zrangebyscore")

        async def more_passes() -> bool:
            return await calls(queues, "zrangebyscore") >= passes + PASSES

        await until(more_passes)
        assert await calls(queues, "watch") == asked
        await put(RUNNING)
        await until(lambda: len(sender.turns) == RUNNING + 1)
        assert len(set(sender.turns)) == RUNNING + 1
    finally:
        sender.over.set()
        stop.set()
        await work
        await close_queues(queues)
