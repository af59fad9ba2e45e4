"""Overland: GeoJSON features in batches, perhaps with the current place before a backlog.

Source: aaronpk/Overland-iOS ``README.md``, ``GPSLogger/GLManager.m``. Overland for Android is the transistor SDK with
this template; its "Owntracks" mode sends OwnTracks' objects with times counted from 2001.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import Any, Final

import msgspec

from waypost.tracking.domain import Report
from waypost.tracking.protocols import owntracks
from waypost.tracking.protocols.records import (
    RAW_BYTES,
    Found,
    Heard,
    Read,
    Unreadable,
    each,
    fault,
    items_of,
    measure,
    members_of,
    ms_or_seconds,
    number_of,
    numeric,
    object_of,
    percent_of_level,
)
from waypost.tracking.silence import Signal

MEMBERS: Final = ("locations", "current", "trip", "_type")
TRIP: Final = "trip"
SIGNALS: Final[Mapping[str, Signal]] = {
    "will_terminate": Signal.STOPPED,
    "tracking_stopped_automatically": Signal.STOPPED,
}


def read(body: bytes, now: datetime) -> Read:
    """``now``: the time of an OwnTracks fix that says none; a feature without a time is no fix."""
    if not body.strip():
        return Read([Heard("empty")])
    try:
        members = members_of(body, MEMBERS)
        if "_type" in members:
            return owntracks.read(body, now)
        if not members:
            raise Unreadable("there are no locations in it")
        items = items_of(members["locations"]) if "locations" in members else []
    except Unreadable as error:
        return Read([fault(body, error)])
    one = partial(_item, now=now)
    first = list(each([members["current"]], one)) if "current" in members else []
    return Read(each(items, one), first, records=len(first) + len(items))


def _item(raw: bytes | msgspec.Raw, now: datetime) -> Found:
    return feature(raw, object_of(raw), now)


def feature(raw: bytes | msgspec.Raw, record: Mapping[str, Any], now: datetime) -> Found:
    """One GeoJSON Feature: a fix; or what happened to the app (``action``), or a whole trip, which are none."""
    if "_type" in record:
        return owntracks.message(raw, record, now)
    properties = record.get("properties")
    if not isinstance(properties, dict):
        raise Unreadable("a location is a GeoJSON Feature with properties")
    battery = percent_of_level(properties.get("battery_level"))
    if TRIP in (record.get("type"), properties.get("type")):
        return Heard(TRIP, battery)
    if action := properties.get("action"):
        word = action if isinstance(action, str) else "action"
        return Heard(word, battery, SIGNALS.get(word))
    longitude, latitude = _coordinates(record.get("geometry"))
    return Report(
        index=0,
        latitude=latitude,
        longitude=longitude,
        timestamp=ms_or_seconds(properties.get("timestamp")),
        accuracy=measure(properties.get("horizontal_accuracy")),
        speed=measure(properties.get("speed")),
        heading=measure(properties.get("course")),
        altitude=number_of(properties.get("altitude")),
        battery=battery,
        raw=bytes(raw)[:RAW_BYTES],
    )


def _coordinates(geometry: object) -> tuple[Any, Any]:
    """Longitude and latitude, in GeoJSON's order."""
    pair = geometry.get("coordinates") if isinstance(geometry, dict) else None
    if isinstance(pair, list) and len(pair) >= 2:  # noqa: PLR2004 - longitude, latitude
        return numeric(pair[0]), numeric(pair[1])
    return None, None
