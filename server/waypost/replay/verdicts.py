"""What a good phone does with an answer. Pure: jitter is an argument, in [0, 1)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from enum import Enum

from waypost.replay.wire import Outcome

BACKOFF_MAX_S = 300.0
RETRY_AFTER_MAX_S = 300.0
ADVICE_MAX_S = 60.0


class Move(Enum):
    DONE = "done"  # stored: forget the batch
    AGAIN = "again"  # nothing was promised: the same batch once more
    SPLIT = "split"
    DROP = "drop"  # can never be stored
    STOP = "stop"  # this device may not send


@dataclass(frozen=True, slots=True)
class Answer:
    """A reply, of either transport, in HTTP's terms. ``outcome`` is None unless the batch was stored."""

    status: int
    outcome: Outcome | None = None
    code: str = ""
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to do, and how many seconds to wait before the next sending (0: as usual)."""

    move: Move
    wait_s: float = 0.0
    reason: str = ""


REDIRECTS = range(300, 400)  # the address is not the server's own
MOVES = {400: Move.DROP, 401: Move.STOP, 403: Move.STOP, 404: Move.STOP, 413: Move.SPLIT, 422: Move.DROP}


def judge(answer: Answer, attempts: int, jitter: float) -> Verdict:
    """The verdict on an answer to the ``attempts``-th sending (from 1) of a batch.

    A 200 without a readable outcome promises nothing: it may be some portal's page.
    """
    reason = f"{answer.status} {answer.code}".strip()
    if answer.outcome is not None:
        return Verdict(Move.DONE, min((answer.outcome.next_ms or 0) / 1000, ADVICE_MAX_S))
    move = MOVES.get(answer.status, Move.STOP if answer.status in REDIRECTS else Move.AGAIN)
    if move is not Move.AGAIN:
        return Verdict(move, reason=reason)
    if answer.retry_after_s is not None:
        wait_s = min(max(answer.retry_after_s, 1.0), RETRY_AFTER_MAX_S)
        return Verdict(Move.AGAIN, wait_s * (1 + jitter / 10), reason)
    return Verdict(Move.AGAIN, backoff_s(attempts, jitter), reason)


def backoff_s(attempts: int, jitter: float) -> float:
    """1 s, 2 s, 4 s … 5 min after the first, second, third failed sending; ``jitter`` adds up to a half."""
    return min(2.0 ** min(attempts - 1, 20), BACKOFF_MAX_S) * (1 + jitter / 2)


def retry_after_s(header: str | None, now: datetime) -> float | None:
    """The seconds of a ``Retry-After`` header, which may be a number or an HTTP date; None if absent or unreadable."""
    if not header:
        return None
    try:
        return max(0.0, float(header))
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(header) - now).total_seconds())
    except (ValueError, TypeError):
        return None
