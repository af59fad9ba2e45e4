"""Pure rules of jobs: their states, who may have them, what becomes of one that failed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from waypost.kernel.errors import AppError, Conflict, NotFound, TooMany, Unavailable
from waypost.kernel.principal import Principal, Role

EXPORTERS = frozenset({Role.OWNER, Role.DISPATCHER, Role.ACCOUNTANT})
MAX_TRIES = 5  # claims in a row that kept no chunk
FIRST_WAIT, LONGEST_WAIT = timedelta(seconds=2), timedelta(minutes=1)


class JobNotFound(NotFound):
    """No such job, or none that you may see."""

    code = "job-not-found"


class JobFileExpired(NotFound):
    """The job's file was deleted when its days were over; ask for a new one."""

    code = "job-file-expired"


class JobNotDone(Conflict):
    """The job has no file: it is not done."""

    code = "job-not-done"


class JobOver(Conflict):
    """The job has ended; there is nothing left to cancel."""

    code = "job-over"


class TooManyJobs(TooMany):
    """Your organisation has as many jobs under way as it may; wait for one to end, or cancel one."""

    code = "too-many-jobs"


class JobKeptFailing(AppError):
    """The job was tried several times and got no further; ask for it again, or report it with the job's id."""

    code = "job-kept-failing"


class State(StrEnum):
    """Where a job is in its life."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Job:
    """A job. ``cursor``: where its kind goes on, in the kind's own terms; None: at the beginning."""

    org_id: UUID
    id: UUID
    kind: str
    state: State
    user_id: UUID
    created_at: datetime
    params: Mapping[str, object]
    reason: str | None = None
    user_name: str | None = None
    cursor: object | None = None
    next_chunk: int = 0
    rows_done: int = 0
    rows_total: int | None = None
    written: bool = False
    attempt: int = 0
    tries: int = 0
    cancel_requested_at: datetime | None = None
    file_name: str | None = None
    file_type: str | None = None
    file_size: int = 0
    file_sha256: bytes | None = None
    file_gone: bool = False
    expires_at: datetime | None = None
    error: str | None = None
    request_id: str | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """What a person wants exported; None: any. ``since`` is within the span, ``until`` is not."""

    what: str
    format: str = "csv"
    since: datetime | None = None
    until: datetime | None = None
    status: str | None = None
    bom: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """What a job is to do, fixed when it was asked for; ``params`` is kept with it as JSON."""

    params: Mapping[str, object]
    file_name: str
    file_type: str


@dataclass(frozen=True, slots=True)
class Step:
    """A chunk of a job's file, and where the next one begins (JSON); ``cursor`` None: this was the last."""

    data: bytes
    rows: int
    cursor: object | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a job whose work failed: tried again after ``wait``, or given up for ``error``."""

    wait: timedelta | None
    error: str | None = None


def after_failure(tries: int, error: Exception) -> Verdict:
    """What becomes of a job whose ``tries``-th claim in a row without a kept chunk failed with ``error``.

    A refusal of ours would be the same the next time. All else may be passing: again after 2 s, 4 s, 8 s, 16 s.
    """
    if isinstance(error, AppError) and not isinstance(error, Unavailable):
        return Verdict(None, error.code)
    if tries >= MAX_TRIES:
        return Verdict(None, JobKeptFailing.code)
    return Verdict(min(FIRST_WAIT * 2 ** (tries - 1), LONGEST_WAIT))


def may_see(principal: Principal, job: Job) -> bool:
    """Who asked for it, and the owners of the organisation."""
    return principal.org_id == job.org_id and (principal.user_id == job.user_id or principal.role is Role.OWNER)


def check_cancellable(state: State) -> None:
    """Raise ``JobOver`` when there is nothing to cancel; cancelling twice is no mistake."""
    if state in {State.DONE, State.FAILED}:
        raise JobOver(f"The job is {state}; there is nothing left to cancel.", jobState=str(state))


def check_file(job: Job, now: datetime) -> None:
    """Raise unless the job has a file that may still be had."""
    if job.state is not State.DONE:
        raise JobNotDone(f"The job is {job.state}; it has no file.", jobState=str(job.state))
    if job.file_gone or job.expires_at is None or job.expires_at <= now:
        raise JobFileExpired
