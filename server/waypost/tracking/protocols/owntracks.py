"""OwnTracks in HTTP mode: one JSON object a request, perhaps encrypted. Speeds in km/h, times in seconds.

Source: owntracks/booklet ``docs/tech/json.md``, ``docs/tech/http.md``, ``docs/features/encrypt.md``.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import Any, Final

import msgspec

from waypost.tracking.domain import Report
from waypost.tracking.protocols.encrypted import opened
from waypost.tracking.protocols.records import (
    EPOCH_2001_S,
    KMH_MPS,
    RAW_BYTES,
    Found,
    Heard,
    Read,
    Unreadable,
    each,
    fault,
    is_nowhere,
    items_of,
    key_of,
    measure,
    ms_of_seconds,
    number_of,
    numeric,
    object_of,
    percent,
)
from waypost.tracking.silence import Signal

# Understood, and no fix.
OTHERS: Final = frozenset({
    "beacon", "card", "cmd", "configuration", "dump", "lwt", "request", "status", "steps", "transition", "waypoint",
    "waypoints",
})  # fmt: skip
SIGNALS: Final[Mapping[str, Signal]] = {"lwt": Signal.LOST}
BEACON: Final = "b"  # the trigger of a location that stands for a beacon


def read(body: bytes, now: datetime, secret: str | None = None) -> Read:
    """``secret``: what the phone encrypts with, None where it is not known. ``now``: the time of a fix without one."""
    if not body.strip():
        return Read([Heard("empty")])
    try:
        items = items_of(body)
    except Unreadable as error:
        return Read([fault(body, error)])
    return Read(each(items, partial(_item, now=now, secret=secret)), records=len(items))


def _item(raw: bytes | msgspec.Raw, now: datetime, secret: str | None) -> Found:
    record = object_of(raw)
    if record.get("_type") == "encrypted":
        record = object_of(opened(record.get("data"), secret))
    return message(raw, record, now)


def message(raw: bytes | msgspec.Raw, record: Mapping[str, Any], now: datetime) -> Found:
    """One object in the clear. ``raw``: as it was sent."""
    kind, battery = record.get("_type"), percent(record.get("batt"))
    if kind != "location":
        if isinstance(kind, str) and kind in OTHERS:
            return Heard(kind, battery, SIGNALS.get(kind))
        raise Unreadable("its _type is none that OwnTracks sends")
    if record.get("t") == BEACON and is_nowhere(record.get("lat"), record.get("lon")):
        return Heard("beacon", battery)
    return Report(
        index=0,
        latitude=numeric(record.get("lat")),
        longitude=numeric(record.get("lon")),
        timestamp=_time(record.get("tst"), now),
        accuracy=measure(record.get("acc")),
        speed=measure(record.get("vel"), KMH_MPS),
        heading=measure(record.get("cog")),
        altitude=number_of(record.get("alt")),
        battery=battery,
        key=key_of(record.get("_id")),
        raw=bytes(raw)[:RAW_BYTES],
    )


def _time(tst: object, now: datetime) -> Any:
    """Epoch milliseconds. What lies before 2001, when OwnTracks was not yet, is Overland's, which counts from there."""
    if tst is None:
        return round(now.timestamp() * 1000)
    seconds = number_of(tst)
    if seconds is not None and 0 < seconds < EPOCH_2001_S:
        return ms_of_seconds(seconds + EPOCH_2001_S)
    return ms_of_seconds(tst)
