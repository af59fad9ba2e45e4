"""What a replay counts."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field

from waypost.replay.wire import Outcome

LATENCIES_KEPT = 10_000
ACTIVE_S = 60.0


@dataclass(slots=True)
class Stats:
    """Counts of fixes unless said otherwise. ``sent`` counts each fix once, ``resent`` its further sendings."""

    played: int = 0
    sent: int = 0
    resent: int = 0
    accepted: int = 0
    duplicates: int = 0
    late: int = 0
    dropped: int = 0  # by a full outbox, or with a batch that can never be stored
    requests: int = 0
    rejected: Counter[str] = field(default_factory=Counter)  # by reason
    flagged: Counter[str] = field(default_factory=Counter)  # by flag
    errors: Counter[str] = field(default_factory=Counter)  # requests, by what went wrong
    stopped: dict[str, str] = field(default_factory=dict)  # vehicle: why
    latencies_s: deque[float] = field(default_factory=lambda: deque(maxlen=LATENCIES_KEPT))
    answered_at_s: dict[str, float] = field(default_factory=dict)  # vehicle: monotonic time of its last good answer

    def stored(self, vehicle: str, outcome: Outcome, *, latency_s: float, at_s: float) -> None:
        self.accepted += outcome.accepted
        self.duplicates += outcome.duplicates
        self.late += outcome.late
        self.rejected.update(one.reason for one in outcome.rejected)
        self.flagged.update(flag for one in outcome.flagged for flag in one.flags)
        self.latencies_s.append(latency_s)
        self.answered_at_s[vehicle] = at_s

    def active(self, at_s: float) -> int:
        """Vehicles that had a good answer within the last minute."""
        return sum(at_s - answered <= ACTIVE_S for answered in self.answered_at_s.values())

    def latency_ms(self, share: float) -> float | None:
        """The latency that this share of the last answers stayed under; None before the first."""
        ordered = sorted(self.latencies_s)
        return ordered[min(int(len(ordered) * share), len(ordered) - 1)] * 1000 if ordered else None
