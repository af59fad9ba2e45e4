"""Times as figures."""

from __future__ import annotations

from collections.abc import Sequence

WANTED = (50, 95, 99)


def percentiles(seconds: Sequence[float]) -> dict[str, float]:
    """p50, p95, p99 and the longest, milliseconds (nearest rank); nothing of nothing."""
    if not seconds:
        return {}
    ordered = sorted(seconds)
    found = {f"p{wanted}_ms": ordered[-(-len(ordered) * wanted // 100) - 1] for wanted in WANTED}
    return {name: round(value * 1000, 2) for name, value in (found | {"max_ms": ordered[-1]}).items()}
