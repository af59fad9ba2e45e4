"""The use cases of jobs: for people, and for the relay that wakes workers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from waypost.identity import audit
from waypost.jobs import announce, domain, files, storage
from waypost.jobs.domain import EXPORTERS, Asked, Job, JobNotFound, State, TooManyJobs
from waypost.jobs.ports import JobKind, JobRules
from waypost.jobs.storage import Wake
from waypost.kernel.clock import Clock
from waypost.kernel.errors import Denied, invalid_field
from waypost.kernel.ids import new_id
from waypost.kernel.paging import Page, decode_cursor, page_of
from waypost.kernel.principal import Principal, Role
from waypost.platform.database import Connection, Database
from waypost.platform.telemetry import request_id
from waypost.realtime.service import Publisher

EXPORT, REPORT = "export.", "report."  # what the kinds of exports, and of reports, begin with
TRY_AGAIN_S = 30


@dataclass(frozen=True, slots=True)
class Jobs:
    """Jobs. What a principal may not see does not exist."""

    database: Database
    clock: Clock
    publisher: Publisher
    kinds: Mapping[str, JobKind]
    rules: JobRules

    async def export(self, principal: Principal, asked: Asked, reason: str | None = None) -> Job:
        """Ask for an export; a worker makes it. ``TooManyJobs`` beyond the organisation's share."""
        return await self._ask(principal, EXPORT, asked, reason)

    async def report(self, principal: Principal, asked: Asked, reason: str | None = None) -> Job:
        """The same for a report."""
        return await self._ask(principal, REPORT, asked, reason)

    async def _ask(self, principal: Principal, prefix: str, asked: Asked, reason: str | None) -> Job:
        principal.require(EXPORTERS)
        name = prefix + asked.what
        kind = self.kinds.get(name)
        if kind is None:
            known = sorted(each.removeprefix(prefix) for each in self.kinds if each.startswith(prefix))
            raise invalid_field("kind", f"there is no such {prefix[:-1]}; there are: {', '.join(known)}")
        async with self.database.transaction(principal.org_id) as conn:
            if await storage.count_open(conn, principal.org_id) >= self.rules.at_once:
                raise TooManyJobs(retry_after_s=TRY_AGAIN_S, limit=self.rules.at_once)
            job = await self._new(conn, principal, name, kind, asked, reason)
            await storage.add(conn, job)
            await self._record(conn, principal, job, "job.asked")
        return job

    async def _new(
        self, conn: Connection, principal: Principal, name: str, kind: JobKind, asked: Asked, reason: str | None
    ) -> Job:
        if principal.user_id is None:  # people only: the file is theirs
            raise Denied
        now = self.clock.now()
        plan = await kind.plan(conn, principal.org_id, asked, now)
        return Job(
            org_id=principal.org_id,
            id=new_id(self.clock),
            kind=name,
            state=State.QUEUED,
            user_id=principal.user_id,
            created_at=now,
            params=plan.params,
            reason=reason,
            file_name=plan.file_name,
            file_type=plan.file_type,
            request_id=request_id.get(),
        )

    async def find(self, principal: Principal, job_id: UUID) -> Job:
        """One job. ``JobNotFound`` whether it is absent or another's."""
        async with self.database.transaction(principal.org_id) as conn:
            return await _visible(conn, principal, job_id)

    async def list(self, principal: Principal, state: State | None, limit: int, cursor: str | None) -> Page[Job]:
        """Newest first: one's own, and for owners everybody's."""
        principal.require(EXPORTERS)
        after = decode_cursor(cursor, UUID) if cursor else None
        user_id = None if principal.role is Role.OWNER else principal.user_id
        async with self.database.transaction(principal.org_id) as conn:
            rows = await storage.list_jobs(conn, principal.org_id, user_id, state, after, limit)
        return page_of(rows, limit, lambda job: job.id)

    async def cancel(self, principal: Principal, job_id: UUID) -> Job:
        """Stop a job: at once where no worker holds it, else before its next chunk. ``JobOver`` when it has ended."""
        async with self.database.transaction(principal.org_id) as conn:
            job = await _visible(conn, principal, job_id)
            domain.check_cancellable(job.state)
            now = self.clock.now()
            if await storage.ask_to_cancel(conn, principal.org_id, job_id, now):
                await storage.give_up(conn, job, State.CANCELLED, now, holder=False)
            if job.cancel_requested_at is None and job.state is not State.CANCELLED:
                await self._record(conn, principal, job, "job.cancelled")
            job = await _visible(conn, principal, job_id)
            if job.state is State.CANCELLED:
                await announce.ended(conn, self.publisher, self.clock, job)
                return job
        announce.progress(self.publisher, self.clock, job)
        return job

    async def file(self, principal: Principal, job_id: UUID) -> tuple[Job, AsyncIterator[bytes]]:
        """The file of a job that is done, piece by piece. ``JobNotDone``, or ``JobFileExpired``."""
        async with self.database.transaction(principal.org_id) as conn:
            job = await _visible(conn, principal, job_id)
            domain.check_file(job, self.clock.now())
            await self._record(conn, principal, job, "job.file-taken")
        return job, files.read(self.database, job)

    async def due_jobs(self, conn: Connection, limit: int) -> Sequence[Wake]:
        """For the relay: jobs that no worker holds, each named once in a while until one does.

        ``conn`` is of the system scope. Commit before telling the queue: what gets lost in between is named again.
        """
        return await storage.due(conn, self.rules.poke_again, limit)

    async def untold(self, conn: Connection, wakes: Sequence[Wake]) -> None:
        """For the relay: the queue could not be told of these; they are due as before."""
        await storage.untold(conn, wakes)

    async def _record(self, conn: Connection, principal: Principal, job: Job, action: str) -> None:
        await audit.record(
            conn, principal, self.clock, action=action, subject_kind="job", subject_id=job.id, why=job.reason,
            detail={"kind": job.kind, **job.params},
        )  # fmt: skip


async def _visible(conn: Connection, principal: Principal, job_id: UUID) -> Job:
    principal.require(EXPORTERS)
    job = await storage.find(conn, principal.org_id, job_id)
    if job is None or not domain.may_see(principal, job):
        raise JobNotFound
    return job
