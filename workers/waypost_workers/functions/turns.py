"""A worker's turn at one row: what it may meet, and what then becomes of the row."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from waypost.kernel.errors import Unavailable
from waypost.platform.telemetry import log, request_id


@contextmanager
def turn(waits: str, caused_by: str | None = None, **ids: str) -> Iterator[None]:
    """The row says how far it is: what cannot be done now is logged as ``waits``, and the relay gives it out again.

    ``caused_by``: the request that it all began with, for the logs; ``ids``: of the row, for the same.
    """
    token = request_id.set(caused_by)
    try:
        yield
    except Unavailable as error:
        log.warning(waits, reason=error.code, **ids)
    finally:
        request_id.reset(token)
