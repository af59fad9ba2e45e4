"""One worker's turn at one job."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from waypost.jobs.runner import Runner
from waypost_workers.functions.turns import turn

NAME = "run_job"


async def run_job(ctx: Mapping[str, Any], org_id: str, job_id: str) -> None:
    """Go on with a job for a while. What it began with is in its row, the request's id too."""
    runner: Runner = ctx["job_runner"]
    with turn("job_waits", job_id=job_id):
        await runner.run(UUID(org_id), UUID(job_id))
