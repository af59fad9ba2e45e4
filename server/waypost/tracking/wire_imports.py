"""What is answered to an imported track."""

from __future__ import annotations

import msgspec

from waypost.tracking.wire import Rejected


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
    rejected: list[Rejected]
