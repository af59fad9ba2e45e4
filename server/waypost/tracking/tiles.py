"""Map tiles: which part of the earth one shows, and vector tiles of points (Mapbox Vector Tile 2.1). Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

EXTENT = 4096
_POINT, _MOVE_TO = 1, 1
_VARINT, _BYTES = 0, 2  # protobuf wire types


@dataclass(frozen=True, slots=True)
class Tile:
    """A tile of Web Mercator, y from the north."""

    z: int
    x: int
    y: int

    def column(self, longitude_deg: float) -> float:
        """Eastwards across the tile, 0 to ``EXTENT``."""
        return ((longitude_deg + 180) / 360 * (1 << self.z) - self.x) * EXTENT

    def row(self, latitude_deg: float) -> float:
        """Southwards down the tile, 0 to ``EXTENT``."""
        angle = math.asinh(math.tan(math.radians(latitude_deg)))
        return ((1 - angle / math.pi) / 2 * (1 << self.z) - self.y) * EXTENT

    def box_deg(self) -> tuple[float, float, float, float]:
        """West, south, east, north."""
        return self._longitude(self.x), self._latitude(self.y + 1), self._longitude(self.x + 1), self._latitude(self.y)

    def _longitude(self, x: int) -> float:
        return x / (1 << self.z) * 360 - 180

    def _latitude(self, y: int) -> float:
        return math.degrees(math.atan(math.sinh(math.pi * (1 - 2 * y / (1 << self.z)))))


Points = Sequence[tuple[int, int]]  # (column, row) in the tile


def encode(layer: str, key: str, features: Mapping[int, Points]) -> bytes:
    """A tile of one layer: a feature of many points for each value of ``key``."""
    body = _field(15, _VARINT, _varint(2)) + _text(1, layer)
    values = b""
    for number, (value, points) in enumerate(features.items()):
        values += _part(4, _field(5, _VARINT, _varint(value)))
        tags = _varint(0) + _varint(number)
        body += _part(2, _part(2, tags) + _field(3, _VARINT, _varint(_POINT)) + _part(4, _geometry(points)))
    return _part(3, body + _text(3, key) + values + _field(5, _VARINT, _varint(EXTENT)))


def _geometry(points: Points) -> bytes:
    """One MoveTo with all of them, each by its difference from the one before."""
    packed = bytearray(_varint(_MOVE_TO | len(points) << 3))
    x = y = 0
    for column, row in points:
        for difference in (column - x, row - y):
            number = difference << 1 ^ difference >> 63
            while number > 127:  # noqa: PLR2004 - seven bits a byte
                packed.append(number & 127 | 128)
                number >>= 7
            packed.append(number)
        x, y = column, row
    return bytes(packed)


def _part(number: int, body: bytes) -> bytes:
    return _field(number, _BYTES, _varint(len(body)) + body)


def _text(number: int, text: str) -> bytes:
    return _part(number, text.encode())


def _field(number: int, kind: int, body: bytes) -> bytes:
    return _varint(number << 3 | kind) + body


def _varint(number: int) -> bytes:
    packed = bytearray()
    while number > 127:  # noqa: PLR2004 - seven bits a byte
        packed.append(number & 127 | 128)
        number >>= 7
    packed.append(number)
    return bytes(packed)


def in_order(points: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """From row to row, so that differences are small."""
    return sorted(points, key=lambda point: (point[1], point[0]))
