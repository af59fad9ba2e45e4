"""HTTP edge of jobs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from aiohttp import web

from waypost.jobs import wire
from waypost.jobs.domain import EXPORTERS, Job, JobFileExpired, JobNotDone, JobNotFound, JobOver, TooManyJobs
from waypost.jobs.service import Jobs
from waypost.platform.routes import Route
from waypost.platform.telemetry import log, request_id
from waypost.platform.web import PRINCIPAL, path_id, read_body, read_query, reply, reply_page

PATH = "/api/v1/jobs"


@dataclass(frozen=True, slots=True)
class JobRoutes:
    """Exports, and the jobs that make them."""

    jobs: Jobs

    def routes(self) -> list[Route]:
        return [
            Route("POST", "/api/v1/exports", self.export, status=202, answer=wire.Job, body=wire.NewExport,
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
        response = web.StreamResponse(headers=_headers(job))
        await response.prepare(request)
        await _send(request, response, parts)
        return response


def _headers(job: Job) -> dict[str, str]:
    return {
        "Content-Type": job.file_type or "application/octet-stream",
        "Content-Length": str(job.file_size),
        "Content-Disposition": f'attachment; filename="{job.file_name}"',
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
        "X-Request-Id": request_id.get() or "",
    }


async def _send(request: web.Request, response: web.StreamResponse, parts: AsyncIterator[bytes]) -> None:
    """Piece by piece. What breaks off ends the connection: another answer would land in the middle of the file."""
    try:
        async for part in parts:
            await response.write(part)
        await response.write_eof()
    except ConnectionResetError:
        raise
    except Exception as error:
        log.warning("download_broken", reason=type(error).__name__)
        if request.transport is not None:
            request.transport.abort()
        raise ConnectionResetError("the file broke off") from error
