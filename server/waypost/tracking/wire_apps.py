"""What driver apps send and are answered, for the description: they are read leniently, by ``protocols/``."""

from __future__ import annotations

from typing import Any, Literal

import msgspec


class Ignored(msgspec.Struct):
    """Any query: nothing in it counts."""


class OsmAndFields(msgspec.Struct, rename="camel"):
    """One fix of Traccar Client or OsmAnd: seconds or milliseconds, percent, knots but for ``speedMps``. Others are
    ignored.
    """

    timestamp: str | None = None
    lat: str | None = None
    lon: str | None = None
    location: str | None = None
    speed: str | None = None
    speed_mps: str | None = None
    bearing: str | None = None
    heading: str | None = None
    altitude: str | None = None
    accuracy: str | None = None
    batt: str | None = None
    charge: str | None = None
    valid: str | None = None
    mock: str | None = None
    alarm: str | None = None
    id: str | None = None
    deviceid: str | None = None
    driver_unique_id: str | None = None
    notification_token: str | None = None


class OwnTracksMessage(msgspec.Struct, rename={"kind": "_type", "id": "_id"}):
    """One message of OwnTracks: km/h, seconds, percent; or ``encrypted``, with its ``data``."""

    kind: Any = None
    tst: Any = None
    lat: Any = None
    lon: Any = None
    acc: Any = None
    alt: Any = None
    vel: Any = None
    cog: Any = None
    batt: Any = None
    t: Any = None
    id: Any = None
    data: Any = None


class OverlandBatch(msgspec.Struct):
    """GeoJSON Features of Overland: ``current`` is shown at once, ``locations`` may be a backlog."""

    locations: Any = None
    current: Any = None
    trip: Any = None


class TransistorBody(msgspec.Struct):
    """One location of the SDK or an array of them; under another key where the device's settings say so."""

    location: Any = None


class Command(msgspec.Struct, rename={"kind": "_type"}):
    """What OwnTracks is asked to do. There is none yet: the array of them is empty."""

    kind: str


class OverlandTaken(msgspec.Struct):
    """The batch may be forgotten. ``name``: what the app shows as the account, where it asks for that."""

    result: Literal["ok"] = "ok"
    name: Literal["Waypost"] = "Waypost"


class Taken(msgspec.Struct, rename="camel"):
    """What became of the locations; all of them may be forgotten."""

    accepted: int = 0
    duplicates: int = 0
    rejected: int = 0
