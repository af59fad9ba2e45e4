"""HTTP edge of jobs."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from waypost.jobs import wire
from waypost.jobs.domain import EXPORTERS, Job, JobFileExpired, JobNotDone, JobNotFound, JobOver, TooManyJobs
from waypost.jobs.service import Jobs
from waypost.platform.routes import Route
from waypost.platform.streams import stream
from waypost.platform.web import PRINCIPAL, path_id, read_body, read_query, reply, reply_page

PATH = "/api/v1/jobs"


@dataclass(frozen=True, slots=True)
class JobRoutes:
    """Exports and reports, and the jobs that make them."""

    jobs: Jobs

    def routes(self) -> list[Route]:
        return [
            Route("POST", "/api/v1/exports", self.export, status=202, answer=wire.Job, body=wire.NewExport,
                  roles=EXPORTERS, errors=(TooManyJobs,), idempotent=True, costly=True),
            Route("POST", "/api/v1/reports", self.report, status=202, answer=wire.Job, body=wire.NewReport,
                  roles=EXPORTERS, errors=(TooManyJobs,), idempotent=True, costly=True),
            Route("GET", PATH, self.list_jobs, answer=wire.Job, listing=True, query=wire.JobsQuery, roles=EXPORTERS),
            Route("GET", PATH + "/{job_id}", self.get, answer=wire.Job, roles=EXPORTERS, errors=(JobNotFound,)),
            Route("POST", PATH + "/{job_id}/cancel", self.cancel, answer=wire.Job, roles=EXPORTERS,
                  errors=(JobNotFound, JobOver)),
            Route("GET", PATH + "/{job_id}/file", self.file, roles=EXPORTERS, content_type="text/csv",
                  errors=(JobNotFound, JobNotDone, JobFileExpired)),
        ]  # fmt: skip

    async def export(self, request: web.Request) -> web.Response:
        """Ask for an export: a job that a worker does. Its file is for you, and for owners, until it expires."""
        body = await read_body(request, wire.NewExport)
        job = await self.jobs.export(request[PRINCIPAL], body.to_domain(), body.reason)
        return reply(wire.Job.from_domain(job), status=202)

    async def report(self, request: web.Request) -> web.Response:
        """Ask for a report: a job, and its file, as with an export."""
        body = await read_body(request, wire.NewReport)
        job = await self.jobs.report(request[PRINCIPAL], body.to_domain(), body.reason)
        return reply(wire.Job.from_domain(job), status=202)

    async def list_jobs(self, request: web.Request) -> web.Response:
        """Your jobs, newest first; an owner's list has everybody's."""
        query = read_query(request, wire.JobsQuery)
        page = await self.jobs.list(request[PRINCIPAL], query.state, query.limit, query.cursor)
        return reply_page(request, page, wire.Job.from_domain)

    async def get(self, request: web.Request) -> web.Response:
        """One job."""
        job = await self.jobs.find(request[PRINCIPAL], path_id(request, "job_id", JobNotFound))
        return reply(wire.Job.from_domain(job))

    async def cancel(self, request: web.Request) -> web.Response:
        """Stop a job before its next chunk; nothing stays of its file. May be repeated."""
        job = await self.jobs.cancel(request[PRINCIPAL], path_id(request, "job_id", JobNotFound))
        return reply(wire.Job.from_domain(job))

    async def file(self, request: web.Request) -> web.StreamResponse:
        """The file of a job that is done, while it is kept."""
        job, parts = await self.jobs.file(request[PRINCIPAL], path_id(request, "job_id", JobNotFound))
        return await stream(request, _headers(job), parts)


def _headers(job: Job) -> dict[str, str]:
    return {
        "Content-Type": job.file_type or "application/octet-stream",
        "Content-Length": str(job.file_size),
        "Content-Disposition": f'attachment; filename="{job.file_name}"',
    }
