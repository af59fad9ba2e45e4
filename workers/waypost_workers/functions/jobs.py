"""One worker's turn at one job."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from waypost.jobs.runner import Runner
from waypost.kernel.errors import Unavailable
from waypost.platform.telemetry import log

NAME = "run_job"


async def run_job(ctx: Mapping[str, Any], org_id: str, job_id: str) -> None:
    """Go on with a job for a while. What it began with is in its row, the request's id too."""
    runner: Runner = ctx["job_runner"]
    try:
        await runner.run(UUID(org_id), UUID(job_id))
    except Unavailable as error:  # nothing was claimed: the relay gives it out again
        log.warning("job_waits", job_id=job_id, reason=error.code)
