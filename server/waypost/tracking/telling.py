"""What the rooms are told after a commit (P5): each trip its new fixes, each fleet its vehicles' newest."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from waypost.platform.codec import instant_of_ms
from waypost.realtime.service import Publisher, fleet_room, trip_room
from waypost.tracking import wire
from waypost.tracking.domain import Fix, moment, ms_of
from waypost.tracking.work import Booked, TripKey, Withdrawn, Work


@dataclass(frozen=True, slots=True)
class Telling:
    """To be called with each commit, in their order."""

    publisher: Publisher

    def tell(self, booked: Booked) -> None:
        self._tell_trips(booked)
        for work in booked.works:
            self._tell_fleets(work, booked)

    def _tell_trips(self, booked: Booked) -> None:
        """The good fixes that each trip's watchers have not been overtaken by, in the order of their own time."""
        news: dict[TripKey, list[tuple[Fix, str]]] = defaultdict(list)
        for work in booked.works:
            before = work.position_before
            for batch in work.batches:
                received_at = instant_of_ms(batch.received_ms)
                for fix in batch.stored:
                    if fix.trip_id is None or fix.trip_id not in booked.trips_moved or not fix.is_good:
                        continue
                    if before is None or fix.order > before:
                        news[work.device[0], fix.trip_id].append((fix, received_at))
        known = {work.position_before for work in booked.works}
        for trip, changed in booked.withdrawn.items():
            best = booked.trips_reset.get(trip)
            is_known = best is not None and best.order in known
            if best is not None and not is_known and all(fix.order < best.order for fix, _ in news.get(trip, ())):
                news[trip].append((best, instant_of_ms(best.recorded_ms)))
            if trip in news or changed.times:
                self._tell_trip(trip, news.pop(trip, []), changed)
        for trip, fixes in news.items():
            self._tell_trip(trip, fixes, Withdrawn(fixes[-1][0].destination_org_id, []))

    def _tell_trip(self, trip: TripKey, fixes: list[tuple[Fix, str]], changed: Withdrawn) -> None:
        org_id, trip_id = trip
        if len(fixes) > 1:
            fixes.sort(key=lambda one: one[0].order)
        locations = [wire.live_location(fix, received_at) for fix, received_at in fixes]
        gone = [instant_of_ms(at_ms) for at_ms in sorted(changed.times)]
        told = wire.TripLocations(trip_id, locations, gone)
        self.publisher.publish(trip_room(org_id, trip_id), "trip:location", told)
        if changed.destination_org_id is not None:
            seen = wire.TripLocations(trip_id, [wire.for_receiver(location) for location in locations], gone)
            self.publisher.publish(trip_room(changed.destination_org_id, trip_id), "trip:location", seen)

    def _tell_fleets(self, work: Work, booked: Booked) -> None:
        best, before = work.best, work.position_before
        if best is None or best.vehicle_id is None or (best.order == before):
            return
        name, other_at = booked.vehicles.get(best.vehicle_id, (None, None))
        if other_at is not None and ms_of(other_at) >= best.recorded_ms:
            return  # another device in it was heard of since
        goes_back = before is not None and best.order < before
        body = wire.live_position(work.device[1], best, instant_of_ms(work.received_ms), name)
        withdrawn_at = moment(before[0]) if goes_back and before is not None else None
        seen = {work.device[0]: body}
        if best.destination_org_id is not None:
            seen[best.destination_org_id] = wire.position_for_receiver(body)
        for org_id, told in seen.items():
            self.publisher.publish_position(
                fleet_room(org_id), best.vehicle_id, best.recorded_at, told, withdrawn_at=withdrawn_at
            )
