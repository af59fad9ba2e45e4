"""What laybys need of the features above and beside them; wiring fills it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Protocol
from uuid import UUID

from waypost.kernel.clock import Clock
from waypost.kernel.principal import Principal
from waypost.laybys.domain import Layby
from waypost.platform.database import Connection
from waypost.realtime.service import Publisher
from waypost.trips.domain import Trip
from waypost.trips.service import NewTrip


@dataclass(frozen=True, slots=True)
class Ground:
    """What every change of a layby stands on: the time, and whom to tell."""

    clock: Clock
    publisher: Publisher


class ApplyCredit(Protocol):
    """Use the customer's waiting credit for a locked layby that runs; the layby as it is then. In the caller's
    transaction.
    """

    async def __call__(
        self, ground: Ground, conn: Connection, layby: Layby, today: date, *, actor: Principal | None
    ) -> Layby: ...


class Trips(Protocol):
    """Where an order becomes a journey."""

    async def create(self, principal: Principal, new: NewTrip) -> Trip: ...

    async def find(self, principal: Principal, trip_id: UUID) -> Trip: ...


async def no_credit(
    _ground: Ground, _conn: Connection, layby: Layby, _today: date, *, actor: Principal | None
) -> Layby:
    """Of an installation that keeps no credit."""
    del actor
    return layby
