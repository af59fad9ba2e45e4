"""Query and answer of the figures."""

from __future__ import annotations

from datetime import date, datetime

import msgspec

from waypost.analytics.domain import Figures, InCurrency, Step
from waypost.platform.codec import Instant, instant


class FiguresQuery(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """``from`` and ``to``: days by the organisation's clocks, both within; left out, the last thirty. ``trend``: the
    step's length; left out, what suits the span.
    """

    from_: date | None = msgspec.field(default=None, name="from")
    to: date | None = None
    trend: Step | None = None


class LaybyFigures(msgspec.Struct, rename="camel"):
    """What an organisation's laybys come to, all from one moment: ``at``, ``age_s`` seconds ago.

    Amounts are minor units, each currency by itself.
    """

    at: Instant
    age_s: int
    first: date
    last: date
    step: Step
    counts: dict[str, int]
    currencies: list[InCurrency]

    @classmethod
    def from_domain(cls, figures: Figures, now: datetime) -> LaybyFigures:
        age_s = max(0, int((now - figures.at).total_seconds()))
        return cls(
            instant(figures.at), age_s, figures.first, figures.last, figures.step, figures.counts, figures.currencies
        )
