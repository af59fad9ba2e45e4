"""The background-geolocation SDK of transistorsoft: one location, or with ``batchSync`` an array, under a root key.

Source: transistorsoft/background-geolocation-types ``Location.ts``, ``HttpConfig.ts``, ``PersistenceConfig.ts``.
``locationTemplate`` may rename everything, so a device's settings may say where each field is.

``age`` is not used: it tells how old a fix was when the SDK got it, not when it was sent, so for a backlog it says
nothing about the phone's clock.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, Final, TypeAlias

import msgspec

from waypost.directory.domain import Transistor
from waypost.tracking.domain import Report
from waypost.tracking.protocols import overland
from waypost.tracking.protocols.records import (
    RAW_BYTES,
    Found,
    Heard,
    Read,
    Unreadable,
    each,
    fault,
    is_array,
    is_nowhere,
    is_true,
    items_of,
    key_of,
    measure,
    members_of,
    ms_or_seconds,
    number_of,
    numeric,
    percent_of_level,
    value_of,
)
from waypost.tracking.silence import Signal

ITSELF: Final = "."  # the root key that stands for none
ROOTS: Final = ("location", "locations")
HEARTBEAT: Final = "heartbeat"
# Other events that may come without a place, or with 0,0.
EVENTS: Final = frozenset({"providerchange", "boot", "terminate"})

Places: TypeAlias = Mapping[str, Sequence[Sequence[str]]]  # of each of our fields: where to look, step by step

# Where each of our fields is, if the device's settings do not say it.
USUAL: Final[Mapping[str, Sequence[str]]] = {
    "latitude": ("coords.latitude", "latitude", "lat"),
    "longitude": ("coords.longitude", "longitude", "lng", "lon"),
    "timestamp": ("timestamp",),
    "accuracy": ("coords.accuracy", "accuracy"),
    "speed": ("coords.speed", "speed"),
    "heading": ("coords.heading", "heading"),
    "altitude": ("coords.altitude", "altitude"),
    "battery": ("battery.level",),
    "mock": ("mock",),
    "id": ("uuid",),
    "event": ("event",),
}


PLAIN: Final = Transistor()


def places_of(template: Transistor) -> Places:
    """Where a device's app writes each field: at the path that its settings say, or where the SDK does by itself."""
    told = {name: (path,) for name, path in template.fields.items()}
    return {name: [path.split(".") for path in told.get(name, usual)] for name, usual in USUAL.items()}


PLAIN_PLACES: Final = places_of(PLAIN)


def read(body: bytes, now: datetime, template: Transistor = PLAIN) -> Read:
    """``now``: the time of a fix that says none."""
    try:
        items = _items(body, template.root)
    except Unreadable as error:
        return Read([fault(body, error)])
    return Read(each(items, partial(_item, now=now, places=places_of(template))), records=len(items))


def _items(body: bytes, root: str | None) -> Sequence[bytes | msgspec.Raw]:
    """The locations, each as it was sent. ``params`` are merged into the object beside them and say nothing to us."""
    if not body.strip():
        return []
    if is_array(body):
        items = items_of(body)
        is_batch = not items or any(bytes(item)[:1] in (b"{", b"[") for item in items)
        return items if is_batch else [body]  # what an array template makes is an array itself
    if root == ITSELF:
        return [body]
    names = ROOTS if root is None else (root, *ROOTS)
    members = members_of(body, tuple(dict.fromkeys(names)))
    return next((items_of(members[name]) for name in names if name in members), [body])


def _item(raw: bytes | msgspec.Raw, now: datetime, places: Places) -> Found:
    return location(raw, value_of(raw), now, places)


def location(raw: bytes | msgspec.Raw, record: Any, now: datetime, places: Places = PLAIN_PLACES) -> Found:
    """One record, which was read already. ``raw``: as it was sent."""
    if not isinstance(record, dict | list):
        raise Unreadable("a location is a JSON object, or the array that its template makes")
    if isinstance(record, dict) and record.get("type") == "Feature":
        return overland.feature(raw, record, now)
    got = {name: _find(record, paths) for name, paths in places.items()}
    event, battery = got["event"], percent_of_level(got["battery"])
    if event == HEARTBEAT:  # the last known place over again
        return Heard(HEARTBEAT, battery)
    has_none = got["latitude"] is None and got["longitude"] is None
    if isinstance(event, str) and event in EVENTS and (has_none or is_nowhere(got["latitude"], got["longitude"])):
        return Heard(event, battery, _signal(event, record))
    return _report(got, battery, bytes(raw)[:RAW_BYTES], now)


def _report(got: Mapping[str, Any], battery: float | None, raw: bytes, now: datetime) -> Report:
    timestamp = got["timestamp"]
    return Report(
        index=0,
        latitude=numeric(got["latitude"]),
        longitude=numeric(got["longitude"]),
        timestamp=ms_or_seconds(timestamp) if timestamp is not None else round(now.timestamp() * 1000),
        accuracy=measure(got["accuracy"]),
        speed=measure(got["speed"]),
        heading=measure(got["heading"]),
        altitude=number_of(got["altitude"]),
        battery=battery,
        mock=is_true(got["mock"]),
        key=key_of(got["id"]),
        raw=raw,
    )


def _signal(event: str, record: Any) -> Signal | None:
    if event == "terminate":
        return Signal.STOPPED
    provider = record.get("provider") if isinstance(record, dict) else None
    is_off = isinstance(provider, dict) and provider.get("enabled") is False
    return Signal.LOCATION_OFF if is_off else None


def _find(record: Any, paths: Sequence[Sequence[str]]) -> Any:
    """What stands at the first of the paths that leads somewhere."""
    for path in paths:
        value = record
        for step in path:
            value = value.get(step) if isinstance(value, dict) else _at(value, step)
        if value is not None:
            return value
    return None


def _at(value: Any, step: str) -> Any:
    """A place in an array."""
    if isinstance(value, list) and step.isascii() and step.isdecimal() and int(step) < len(value):
        return value[int(step)]
    return None
