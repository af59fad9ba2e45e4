"""What a fleet is told of a vehicle at its tick: of several positions one, and what has been taken back meanwhile."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

import msgspec

from waypost.platform import codec


class Move(NamedTuple):
    """A vehicle's new position. ``withdrawn_at``: all that it was told to be after this, up to then, is void."""

    recorded_at: datetime
    body: msgspec.Struct
    withdrawn_at: datetime | None = None

    def takes_back(self, at: datetime) -> bool:
        return self.withdrawn_at is not None and self.recorded_at < at <= self.withdrawn_at

    def told(self) -> msgspec.Struct:
        """Its body, with the field ``withdrawn`` where there is something to take back."""
        if self.withdrawn_at is None:
            return self.body
        return msgspec.structs.replace(self.body, withdrawn=codec.instant(self.withdrawn_at))


def one_of(before: Move | None, after: Move) -> Move:
    """What stands for both, ``after`` having committed later: the newest by its own time, unless that is taken back.

    What either takes back stays taken back: the members may have heard it before this tick.
    """
    if before is None:
        return after
    stays = after.recorded_at < before.recorded_at and not after.takes_back(before.recorded_at)
    kept = before if stays else after
    taken = [move.withdrawn_at for move in (before, after) if move.withdrawn_at is not None]
    newest = max((at for at in taken if at > kept.recorded_at), default=None)
    return kept._replace(withdrawn_at=newest)
