"""Pure rules: what becomes of a try, when a webhook rests, and when it is switched off."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from waypost.webhooks.domain import Health, OffReason, State

# Standard Webhooks' schedule: the waits between the tries, each a fifth shorter or longer by chance.
WAITS: Final = tuple(timedelta(seconds=seconds) for seconds in (5, 300, 1800, 2 * 3600, 5 * 3600, 10 * 3600, 10 * 3600))
TRIES: Final = len(WAITS) + 1
SPREAD: Final = 0.2
LONGEST_RETRY_AFTER_S: Final = 86_400.0
OFF_AFTER: Final = timedelta(days=5)
AT_ONCE: Final = 5  # deliveries of one webhook under way at a time
BREAK_AT: Final = 3  # failures in a row: from then on one at a time, with rests
REST_S, LONGEST_REST_S = 30.0, 600.0
GONE: Final = 410
SLOW_DOWN: Final = frozenset({429, 502, 504})


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a try ended. ``reason``: a stable word, where it was not taken; ``answer``: its first kilobyte."""

    taken: bool
    reason: str | None = None
    status: int | None = None
    retry_after_s: float | None = None
    answer: str | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a delivery; ``due_at`` None: it is not tried again by itself."""

    state: State
    reason: str | None = None
    due_at: datetime | None = None


def outcome_of(status: int, retry_after_s: float | None, answer: str | None) -> Outcome:
    """Any 2xx is yes; everything else is no, a redirect too: it would lead past the guard."""
    if 200 <= status < 300:  # noqa: PLR2004 - HTTP's own
        return Outcome(taken=True, status=status, answer=answer)
    redirect = 300 <= status < 400  # noqa: PLR2004 - HTTP's own
    reason = "gone" if status == GONE else "redirected" if redirect else f"http_{status}"
    return Outcome(taken=False, reason=reason, status=status, retry_after_s=retry_after_s, answer=answer)


def after_try(outcome: Outcome, *, tried: int, now: datetime, jitter: float) -> Verdict:
    """What becomes of a delivery after its ``tried``-th try (of the present budget); ``jitter`` in [0, 1)."""
    if outcome.taken:
        return Verdict(State.SENT)
    if outcome.status == GONE:
        return Verdict(State.FAILED, outcome.reason)
    if tried >= TRIES:
        return Verdict(State.DEAD, outcome.reason)
    wait_s = WAITS[max(tried, 1) - 1].total_seconds() * (1 - SPREAD + 2 * SPREAD * jitter)
    return Verdict(State.PENDING, outcome.reason, now + timedelta(seconds=max(wait_s, _asked_s(outcome))))


def health_after(before: Health, outcome: Outcome, now: datetime, jitter: float) -> Health:
    """How the webhook fares. From the third failure in a row it rests, longer each time, up to ten minutes; what asks
    for less rests at once.
    """
    if outcome.taken:
        return Health()
    failures = before.failures + 1
    rest_s = _asked_s(outcome)
    if failures >= BREAK_AT or outcome.status in SLOW_DOWN:
        doubled = REST_S * 2 ** min(max(failures - BREAK_AT, 0), 30)
        rest_s = max(rest_s, min(doubled, LONGEST_REST_S) * (1 + jitter / 10))
    slow_until = now + timedelta(seconds=rest_s) if rest_s else None
    if before.slow_until is not None and (slow_until is None or before.slow_until > slow_until):
        slow_until = before.slow_until
    return Health(before.failing_since or now, failures, slow_until)


def off_after(health: Health, outcome: Outcome, now: datetime) -> OffReason | None:
    """Is it to be switched off: it said that it is gone, or took nothing for five days."""
    if outcome.status == GONE:
        return OffReason.GONE
    if not outcome.taken and health.failing_since is not None and now - health.failing_since >= OFF_AFTER:
        return OffReason.FAILING
    return None


def at_once(health: Health) -> int:
    """How many of its deliveries may be under way: one, to see how it is, while it fails."""
    return 1 if health.failures >= BREAK_AT else AT_ONCE


def tried(attempt: int, budget: int) -> int:
    """Which try of the present budget ``attempt`` is, from 1; a person's replay begins a new budget."""
    return attempt - (budget - TRIES)


def retry_after_s(header: str | None) -> float | None:
    """Of a `Retry-After` in seconds; a date is not read: clocks differ."""
    text = (header or "").strip()
    return float(text[:9]) if text.isascii() and text.isdigit() else None


def _asked_s(outcome: Outcome) -> float:
    return min(outcome.retry_after_s or 0.0, LONGEST_RETRY_AFTER_S)
