"""A worker at a job: claimed by a lease, a chunk at a time, each with the place where the next one begins."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from uuid import UUID

from waypost.jobs import announce, domain, files, storage
from waypost.jobs.domain import MAX_TRIES, Job, JobKeptFailing, Plan, State
from waypost.jobs.ports import Checkpoint, Done, JobKind, JobRules, nobody_told, pass_by
from waypost.kernel.clock import Clock
from waypost.kernel.errors import Unavailable
from waypost.platform.database import Connection, Database
from waypost.platform.telemetry import log, request_id
from waypost.realtime.service import Publisher

TELL_EVERY_S = 1.0


class Lost(Exception):
    """The job is not ours any more: another worker has it, or somebody wants it cancelled."""


@dataclass(frozen=True, slots=True)
class Runner:
    """Runs jobs. Safe to call twice, and from two workers at once: one of them gets the job."""

    database: Database
    clock: Clock
    publisher: Publisher
    kinds: Mapping[str, JobKind]
    rules: JobRules
    checkpoint: Checkpoint = pass_by
    done: Done = nobody_told

    async def run(self, org_id: UUID, job_id: UUID) -> None:
        """Go on with a job for a while; it is done, or due again, or another's afterwards."""
        async with self.database.transaction(org_id) as conn:
            job = await storage.claim(conn, org_id, job_id, list(self.kinds), self.rules.lease, self.clock.now())
            found = await storage.find(conn, org_id, job_id) if job is None else None
        if found is not None and found.kind not in self.kinds:
            log.warning("job_of_newer_version", job_id=str(job_id), kind=found.kind)  # it is left to a newer worker
        if job is None:
            return
        token = request_id.set(job.request_id)
        try:
            await self._work(job)
        finally:
            request_id.reset(token)

    async def _work(self, job: Job) -> None:
        try:
            await self._try(job)
        except Unavailable as error:
            log.warning("job_waits", job_id=str(job.id), reason=error.code)  # its lease runs out, then it is due again

    async def _try(self, job: Job) -> None:
        try:
            await self._slice(Turn(self, job, held_at=self.clock.monotonic()))
        except Lost:
            await self._end_if_cancelled(job)
        except asyncio.CancelledError:
            await asyncio.shield(self._let_go(job, tried=False))
            raise
        except Unavailable:
            raise
        except Exception as error:  # noqa: BLE001 - whatever a kind runs into is this job's alone
            log.exception("job_failed", job_id=str(job.id), kind=job.kind, tries=job.tries)
            await self._after_failure(job, error)

    async def _slice(self, turn: Turn) -> None:
        if turn.job.cancel_requested_at is not None:
            raise Lost
        if turn.job.tries > MAX_TRIES:  # whoever took it before died of it
            raise JobKeptFailing
        until = self.clock.monotonic() + self.rules.slice_s
        while not turn.job.written:
            await turn.step()
            if self.clock.monotonic() >= until and not turn.job.written:
                await self._let_go(turn.job)
                return
        await turn.seal()

    async def _let_go(self, job: Job, *, tried: bool = True) -> None:
        """``tried`` False: we were asked to stop, which is no failure of the job's."""
        async with self.database.transaction(job.org_id) as conn:
            await storage.let_go(conn, job, None, tried=tried)

    async def _end_if_cancelled(self, job: Job) -> None:
        async with self.database.transaction(job.org_id) as conn:
            now = await storage.find(conn, job.org_id, job.id)
            if now is None or now.attempt != job.attempt or now.cancel_requested_at is None:
                return
            if await storage.give_up(conn, job, State.CANCELLED, self.clock.now()):
                await self.tell_end(conn, replace(now, state=State.CANCELLED))

    async def _after_failure(self, job: Job, error: Exception) -> None:
        async with self.database.transaction(job.org_id) as conn:
            now = await storage.find(conn, job.org_id, job.id)
            if now is None or now.attempt != job.attempt:
                return
            verdict = domain.after_failure(max(now.tries, 1), error)
            if verdict.wait is not None:
                await storage.let_go(conn, job, verdict.wait)
                return
            if await storage.give_up(conn, job, State.FAILED, self.clock.now(), error=verdict.error):
                await self.tell_end(conn, replace(now, state=State.FAILED, error=verdict.error))

    async def tell_end(self, conn: Connection, job: Job) -> None:
        """Promise to tell who asked for it."""
        await announce.ended(conn, self.publisher, self.clock, job)


@dataclass(slots=True)
class Turn:
    """One claim of a job: ``job`` is as it was last kept."""

    runner: Runner
    job: Job
    held_at: float
    told_at: float | None = None

    @property
    def plan(self) -> Plan:
        return Plan(self.job.params, self.job.file_name or "", self.job.file_type or "")

    async def step(self) -> None:
        """Keep one chunk and where the next begins, in one transaction. ``Lost`` when the job is not ours any more."""
        job, runner = self.job, self.runner
        kind = runner.kinds[job.kind]
        async with runner.database.transaction(job.org_id) as conn:
            total = job.rows_total
            if job.cursor is None:
                total = await kind.count(conn, job.org_id, self.plan)
            step = await kind.step(conn, job.org_id, self.plan, job.cursor)
            chunk = files.pack(job.next_chunk, step.data) if step.data else None
            kept = replace(job, cursor=step.cursor, written=step.cursor is None, rows_total=total)
            runner.checkpoint("step", self._fraction(job))
            if not await storage.keep_step(conn, kept, chunk, step.rows, runner.rules.lease):
                raise Lost
        self.job = replace(
            kept,
            rows_done=job.rows_done + step.rows,
            next_chunk=job.next_chunk + (1 if chunk else 0),
            file_size=job.file_size + len(step.data),
            tries=0,
        )
        self.held_at = runner.clock.monotonic()
        runner.checkpoint("kept", self._fraction(self.job))
        self._tell()

    async def seal(self) -> None:
        """Read the whole file once more, keep its hash, and call the job done."""
        runner, now = self.runner, self.runner.clock.now()
        sha256 = await files.digest(runner.database, self.job, self._hold)
        runner.checkpoint("sealed", 1.0)
        expires_at = now + runner.rules.file_kept
        async with runner.database.transaction(self.job.org_id) as conn:
            if not await storage.finish(conn, self.job, sha256, expires_at, runner.clock.now()):
                raise Lost
            done = replace(self.job, state=State.DONE, rows_total=self.job.rows_done, expires_at=expires_at)
            await runner.tell_end(conn, done)
            await runner.done(conn, done)
        log.info("job_done", job_id=str(self.job.id), kind=self.job.kind, rows=self.job.rows_done)

    async def _hold(self) -> None:
        """Lengthen the lease, if some of it is gone."""
        now, runner = self.runner.clock.monotonic(), self.runner
        if now - self.held_at < runner.rules.lease.total_seconds() / 4:
            return
        self.held_at = now
        async with runner.database.transaction(self.job.org_id) as conn:
            if not await storage.hold(conn, self.job, runner.rules.lease):
                raise Lost

    def _tell(self) -> None:
        """At most once a second; how it ended is told always, by who ends it."""
        at = self.runner.clock.monotonic()
        if self.told_at is None or at - self.told_at >= TELL_EVERY_S:
            self.told_at = at
            announce.progress(self.runner.publisher, self.runner.clock, self.job)

    def _fraction(self, job: Job) -> float:
        return job.rows_done / job.rows_total if job.rows_total else 0.0
