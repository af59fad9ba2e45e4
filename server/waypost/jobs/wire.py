"""Bodies and events of jobs."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from waypost.jobs import domain
from waypost.kernel.errors import invalid_field
from waypost.platform.codec import NO_NUL, Instant, instant, instant_or_none, utc
from waypost.platform.queries import PageQuery

Word = Annotated[str, Meta(min_length=1, max_length=50, pattern=r"^[a-z_-]+\Z")]
Moment = Annotated[datetime, Meta(tz=True)]


class NewExport(msgspec.Struct, rename={"since": "from", "until": "to"}, forbid_unknown_fields=True):
    """What to export. `from` is within the span, `to` is not; `bom`: for spreadsheets that guess the encoding wrong."""

    kind: Word
    format: Literal["csv"] = "csv"
    since: Moment | None = None
    until: Moment | None = None
    status: Word | None = None
    bom: bool = False
    reason: Annotated[str, Meta(max_length=500, pattern=NO_NUL)] | None = None

    def to_domain(self) -> domain.Asked:
        """``Invalid`` for a moment beyond all plans, or a span that ends before it begins."""
        return domain.Asked(self.kind, self.format, *_span(self.since, self.until), self.status, self.bom)


class NewReport(msgspec.Struct, rename={"since": "from", "until": "to"}, forbid_unknown_fields=True):
    """Which report: `outstanding`, `overdue`, `expected-income` or `payments-by-day`; the last two of a span."""

    kind: Word
    format: Literal["csv"] = "csv"
    since: Moment | None = None
    until: Moment | None = None
    bom: bool = False
    reason: Annotated[str, Meta(max_length=500, pattern=NO_NUL)] | None = None

    def to_domain(self) -> domain.Asked:
        """``Invalid`` for a moment beyond all plans, or a span that ends before it begins."""
        return domain.Asked(self.kind, self.format, *_span(self.since, self.until), None, self.bom)


def _span(since: datetime | None, until: datetime | None) -> tuple[datetime | None, datetime | None]:
    since, until = _checked("from", since), _checked("to", until)
    if since is not None and until is not None and until <= since:
        raise invalid_field("to", "the span ends before it begins")
    return since, until


def _checked(field: str, at: datetime | None) -> datetime | None:
    try:
        return utc(at) if at is not None else None
    except ValueError as error:
        raise invalid_field(field, str(error)) from error


class JobsQuery(PageQuery, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """`state`: only jobs of that state."""

    state: domain.State | None = None


class JobFile(msgspec.Struct, rename="camel"):
    """The file of a job that is done; `sha256` of its bytes in hexadecimal."""

    name: str
    size: int
    sha256: str
    expires_at: Instant


class Job(msgspec.Struct, rename="camel", omit_defaults=True):
    """A job; what is unknown is left out. `total` is what is expected until the job is done."""

    id: UUID
    kind: str
    state: str
    user_id: UUID
    created_at: Instant
    done: int = msgspec.field()
    params: dict[str, Any] = {}
    total: int | None = None
    user_name: str | None = None
    reason: str | None = None
    cancel_requested_at: Instant | None = None
    started_at: Instant | None = None
    finished_at: Instant | None = None
    error: str | None = None
    file: JobFile | None = None

    @classmethod
    def from_domain(cls, job: domain.Job) -> Job:
        return cls(
            id=job.id,
            kind=job.kind,
            state=job.state,
            user_id=job.user_id,
            created_at=instant(job.created_at),
            done=job.rows_done,
            params=dict(job.params),
            total=job.rows_total,
            user_name=job.user_name,
            reason=job.reason,
            cancel_requested_at=instant_or_none(job.cancel_requested_at),
            started_at=instant_or_none(job.started_at),
            finished_at=instant_or_none(job.finished_at),
            error=job.error,
            file=_file(job),
        )


def _file(job: domain.Job) -> JobFile | None:
    if job.file_sha256 is None or job.expires_at is None or job.file_gone:
        return None
    return JobFile(job.file_name or "", job.file_size, job.file_sha256.hex(), instant(job.expires_at))


class JobProgress(msgspec.Struct, rename="camel", omit_defaults=True):
    """`job:progress`: how far a job is; the last one of a job says how it ended."""

    event_id: UUID
    job_id: UUID
    kind: str
    state: str
    done: int = msgspec.field()
    total: int | None = None
    error: str | None = None

    @classmethod
    def from_domain(cls, job: domain.Job, event_id: UUID) -> JobProgress:
        return cls(event_id, job.id, job.kind, job.state, job.rows_done, job.rows_total, job.error)
