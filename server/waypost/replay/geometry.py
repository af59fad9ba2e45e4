"""Small-scale geometry on the globe, good to a per cent over some kilometres."""

from __future__ import annotations

from math import asin, cos, radians, sin, sqrt
from typing import Protocol

EARTH_M = 6_371_000.0
DEGREE_M = EARTH_M * radians(1)


class Place(Protocol):
    """Anything with coordinates, in degrees."""

    @property
    def latitude(self) -> float: ...
    @property
    def longitude(self) -> float: ...


def distance_m(a: Place, b: Place) -> float:
    """Great-circle distance (haversine)."""
    north, east = radians(b.latitude - a.latitude) / 2, radians(b.longitude - a.longitude) / 2
    chord = sin(north) ** 2 + cos(radians(a.latitude)) * cos(radians(b.latitude)) * sin(east) ** 2
    return 2 * EARTH_M * asin(sqrt(min(1.0, max(0.0, chord))))


def moved(latitude: float, longitude: float, *, north_m: float, east_m: float) -> tuple[float, float]:
    """(latitude, longitude) some metres away."""
    return latitude + north_m / DEGREE_M, longitude + east_m / (DEGREE_M * cos(radians(latitude)))
