"""Logs: one line an event, a constant name and fields. Never an address, a token or a coordinate."""

from __future__ import annotations

import logging
import re
import sys
import traceback
from contextvars import ContextVar
from typing import TextIO

import structlog

# asyncpg quotes the argument that it could not encode.
_QUOTED = re.compile(r"(invalid input for query argument \$\d+):.*")

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)

log: structlog.stdlib.BoundLogger = structlog.get_logger("waypost")


def _add_request_id(_logger: object, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    current = request_id.get()
    if current is not None:
        event.setdefault("request_id", current)
    return event


def configure_logs(level: str, form: str) -> None:
    """Once a process. ``form``: "json", or "console" for people."""
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if form == "json"
        else structlog.dev.ConsoleRenderer(
            colors=sys.stdout.isatty(),
            pad_event_to=24,
            exception_formatter=_traceback,
        )
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            _add_request_id,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.ExceptionRenderer(_text) if form == "json" else _as_it_is,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(),
    )
    logging.basicConfig(level=max(logging.getLevelName(level), logging.WARNING), format="%(name)s: %(message)s")


def _text(exc_info: structlog.typing.ExcInfo) -> str:
    """A traceback without the locals that pretty ones print, and without PostgreSQL's DETAIL, which quotes the row."""
    lines = "".join(traceback.format_exception(*exc_info)).splitlines()
    return "\n".join(_QUOTED.sub(r"\1 …", line) for line in lines if not line.startswith("DETAIL:"))


def _traceback(out: TextIO, exc_info: structlog.typing.ExcInfo) -> None:
    out.write("\n" + _text(exc_info))


def _as_it_is(_logger: object, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    return event
