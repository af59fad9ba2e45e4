"""What keeps the tables of jobs and timed runs in shape; run by the workers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from waypost.jobs import storage, storage_runs
from waypost.jobs.ports import JobRules
from waypost.kernel.clock import Clock
from waypost.platform.batches import in_batches
from waypost.platform.database import SYSTEM, Connection, Database

FILES_AT_A_TIME = 50
ANALYSE_TIMEOUT_S = 600.0


@dataclass(frozen=True, slots=True)
class Trouble:
    """Jobs that failed; names of timed runs that were given up; the last that was done (None: never)."""

    jobs: int
    runs: Sequence[str]
    last_run: datetime | None


@dataclass(frozen=True, slots=True)
class JobUpkeep:
    """Files whose days are over, jobs and runs that nobody asks for any more. Safe to repeat, and twice at once."""

    database: Database
    clock: Clock
    rules: JobRules

    async def trouble(self, since: datetime) -> Trouble:
        """What failed since then, and when a timed run was last done."""
        async with self.database.transaction(SYSTEM) as conn:
            return Trouble(
                await storage.failed_since(conn, since),
                await storage_runs.failed_runs_since(conn, since),
                await storage_runs.last_run(conn),
            )

    async def drop_files(self) -> int:
        """Delete the files whose days are over; how many they were. One a transaction: some are large."""
        async with self.database.transaction(SYSTEM) as conn:
            jobs = await storage.expired(conn, self.clock.now(), FILES_AT_A_TIME)
        for org_id, job_id in jobs:
            async with self.database.transaction(org_id) as conn:
                await storage.drop_file(conn, org_id, job_id)
        return len(jobs) if len(jobs) < FILES_AT_A_TIME else len(jobs) + await self.drop_files()

    async def forget_jobs(self) -> int:
        """Delete jobs that ended long ago and have no file."""
        before = self.clock.now() - self.rules.row_kept

        async def batch(conn: Connection, size: int) -> int:
            return await storage.forget(conn, before, size)

        return await in_batches(self.database, batch)

    async def forget_runs(self, kept: timedelta) -> int:
        """Delete timed runs older than that, done or not."""
        before = self.clock.now() - kept

        async def batch(conn: Connection, size: int) -> int:
            return await storage_runs.forget_runs(conn, before, size)

        return await in_batches(self.database, batch)

    async def analyse(self) -> None:
        """Let PostgreSQL gather the figures that its plans need and that it does not gather by itself."""
        async with self.database.transaction(SYSTEM) as conn:
            await storage_runs.analyse(conn, ANALYSE_TIMEOUT_S)
