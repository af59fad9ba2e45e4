"""What is answered to an imported track."""

from __future__ import annotations

import msgspec

from waypost.tracking import wire
from waypost.tracking.imports import Imported


class ImportOutcomes(msgspec.Struct, rename="camel"):
    """accepted + duplicates + withoutTime + the sum of reasons = points. ``rejected``: the first hundred, by the number
    of the point in the file, from 0.
    """

    points: int
    accepted: int
    duplicates: int
    flagged: int
    without_time: int
    reasons: dict[str, int]
    rejected: list[wire.Rejected]

    @classmethod
    def from_domain(cls, value: Imported) -> ImportOutcomes:
        return cls(
            points=value.points,
            accepted=value.accepted,
            duplicates=value.duplicates,
            flagged=value.flagged,
            without_time=value.without_time,
            reasons=dict(value.reasons),
            rejected=[wire.Rejected(item.index, str(item.reason), item.detail) for item in value.rejected],
        )
