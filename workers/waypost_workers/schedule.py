"""Timed work. Each run does what is due, may be repeated, and does no harm when two workers run it at once."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, TypeAlias

from arq.cron import CronJob, cron

from waypost.platform.telemetry import log
from waypost.tracking.upkeep import Upkeep

Context: TypeAlias = Mapping[str, Any]

WEEKS_AHEAD = 3
KEYS_KEPT = timedelta(days=14)  # a phone's backlog with the client's own keys; the place key holds for ever


async def partitions_ahead(ctx: Context) -> None:
    """Make the coming weeks' partitions, so that no phone's batch has to."""
    upkeep: Upkeep = ctx["upkeep"]
    await upkeep.make_partitions(WEEKS_AHEAD)
    log.info("partitions_ahead", weeks=WEEKS_AHEAD)


async def forget_old_keys(ctx: Context) -> None:
    """Drop the clients' own keys of fixes that nobody will send again."""
    upkeep: Upkeep = ctx["upkeep"]
    log.info("keys_forgotten", count=await upkeep.forget_keys(KEYS_KEPT))


CRON: list[CronJob] = [
    cron(partitions_ahead, hour={3, 15}, minute=10, run_at_startup=True, unique=True, timeout=60, keep_result=0),
    cron(forget_old_keys, hour=3, minute=20, unique=True, timeout=600, keep_result=0),
]
