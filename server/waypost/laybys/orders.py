"""A completed layby's order becomes a trip; and what its trip tells back."""

from __future__ import annotations

from dataclasses import dataclass, replace
from uuid import UUID

from waypost.kernel.errors import Conflict
from waypost.kernel.principal import PLANNERS, Principal
from waypost.laybys import account, desk, goods, record, storage_orders
from waypost.laybys.deal import Delivery
from waypost.laybys.desk import Desk
from waypost.laybys.domain import LaybyMoveRefused, Move, Status
from waypost.laybys.ports import Ground, Trips
from waypost.laybys.storage_read import Whole
from waypost.platform.database import Connection
from waypost.trips.domain import Move as TripMove
from waypost.trips.domain import Status as TripStatus
from waypost.trips.domain import Trip
from waypost.trips.service import NewTrip


class OrderHasTrip(Conflict):
    """The order has a trip already."""

    code = "order-has-trip"


@dataclass(frozen=True, slots=True)
class Orders:
    """Orders of completed laybys."""

    desk: Desk
    trips: Trips

    async def deliver(
        self, principal: Principal, layby_id: UUID, how: Delivery, *, expected: int | None = None
    ) -> Whole:
        """Plan a trip for the layby's customer: the trip and the order that names it, or neither.

        ``OrderHasTrip`` unless the trip that it had was cancelled.
        """
        principal.require(PLANNERS)
        async with self.desk.database.unit(principal.org_id) as conn:
            layby = await desk.checked(conn, principal.org_id, layby_id, Move.DELIVER, expected)
            order = await storage_orders.order_of(conn, principal.org_id, layby_id)
            if order is None or layby.released_at is not None:
                raise LaybyMoveRefused("The goods are out already.", laybyStatus=str(layby.status))
            if order.trip_id is not None and await self._runs(principal, order.trip_id):
                raise OrderHasTrip(tripId=str(order.trip_id))
            new = NewTrip(
                reference=order.number,
                driver_id=how.driver_id,
                truck_id=how.truck_id,
                customer_id=layby.customer_id,
                origin=how.origin,
                destination=how.destination,
                planned_start_at=how.planned_start_at,
            )
            trip = await self.trips.create(principal, new)
            await storage_orders.set_trip(conn, principal.org_id, order.id, trip.id)
            data = {"order": order.number, "tripId": trip.id}
            await record.happened(self.desk.ground, conn, layby, "trip_planned", data, principal)
            return await desk.whole(conn, principal.org_id, layby_id)

    async def _runs(self, principal: Principal, trip_id: UUID) -> bool:
        return (await self.trips.find(principal, trip_id)).status is not TripStatus.CANCELLED


@dataclass(frozen=True, slots=True)
class Arrivals:
    """What trips tell of their moves, inside the transaction of the move."""

    ground: Ground

    async def trip_moved(self, conn: Connection, trip: Trip, move: TripMove) -> None:
        """A trip that starts takes its order's goods out, and brings them to the customer as it is completed, or back
        as it is cancelled; any other is no concern of laybys.
        """
        if move is TripMove.CHANGE:
            return
        layby_id = await storage_orders.layby_of_trip(conn, trip.org_id, trip.id)
        if layby_id is None:
            return
        layby = await account.lock(conn, trip.org_id, layby_id)
        order = await storage_orders.order_of(conn, trip.org_id, layby_id)
        if layby.status is not Status.COMPLETED or layby.released_at or order is None or order.trip_id != trip.id:
            return
        if move is TripMove.COMPLETE:
            await goods.release(self.ground, conn, layby, "delivered", {"tripId": trip.id}, None)
        elif layby.is_out or move is TripMove.START:
            out_at = self.ground.clock.now() if move is TripMove.START else None
            after = await record.saved(self.ground, conn, layby, replace(layby, sent_out_at=out_at))
            await record.happened(self.ground, conn, after, f"trip_{move}", {"tripId": trip.id})
