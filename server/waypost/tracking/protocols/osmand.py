"""OsmAnd and Traccar Client: one fix a request, in the query, a form or JSON. Speeds in knots, but for version 9's.

Source: traccar/traccar ``OsmAndProtocolDecoder.java``; traccar/traccar-client-android ``ProtocolFormatter.kt`` (up to
8), traccar/traccar-client ``lib/preferences.dart`` (9: the transistor SDK with a template), traccar/traccar-client-sdk
``HttpUploader.kt`` (10: a form, or an array of flat objects).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import partial
from urllib.parse import parse_qsl, urlencode

import msgspec

from waypost.tracking.domain import Report
from waypost.tracking.protocols import transistor
from waypost.tracking.protocols.records import (
    KNOT_MPS,
    RAW_BYTES,
    Found,
    Heard,
    Read,
    Unreadable,
    each,
    fault,
    is_true,
    items_of,
    measure,
    ms_or_seconds,
    number_of,
    numeric,
    object_of,
    percent,
)

MAX_FIELDS = 200


def read(query: Iterable[tuple[str, str]], content_type: str, body: bytes, now: datetime) -> Read:
    """``query``: its pairs, in order. ``now``: the time of a fix that says none."""
    if body.strip() and (content_type.endswith("json") or body.lstrip()[:1] in (b"{", b"[")):
        try:
            items = items_of(body)
        except Unreadable as error:
            return Read([fault(body, error)])
        return Read(each(items, partial(_item, now=now)), records=len(items))
    try:
        form = parse_qsl(body.decode(errors="replace"), keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except ValueError as error:
        return Read([fault(body, error)])
    sent = [*query, *form][:MAX_FIELDS]
    fields: dict[str, object] = {}
    for name, value in sent:
        if value.strip():
            fields.setdefault(name, value)
    raw = urlencode(sent, errors="replace").encode()[:RAW_BYTES]
    return Read(each([raw], lambda _raw: _one(fields, raw, now)))


def _item(raw: bytes | msgspec.Raw, now: datetime) -> Found:
    """Version 9's object, or a flat one of later versions."""
    fields = object_of(raw)
    location = fields.get("location")
    if location is not None and not isinstance(location, str):
        return transistor.location(raw, location, now)
    return _one(fields, bytes(raw)[:RAW_BYTES], now)


def _one(fields: Mapping[str, object], raw: bytes, now: datetime) -> Found:
    """A fix, or the status of a phone that has none."""
    latitude, longitude = _place(fields)
    battery = percent(fields.get("batt"))
    if (latitude is None and longitude is None) or is_true(fields.get("valid")) is False:
        return Heard("push" if "notificationToken" in fields else "status", battery)
    timestamp = fields.get("timestamp")
    return Report(
        index=0,
        latitude=latitude,
        longitude=longitude,
        timestamp=ms_or_seconds(timestamp) if timestamp is not None else round(now.timestamp() * 1000),
        accuracy=measure(fields.get("accuracy")),
        speed=measure(fields["speedMps"]) if "speedMps" in fields else measure(fields.get("speed"), KNOT_MPS),
        heading=measure(fields.get("bearing", fields.get("heading"))),
        altitude=number_of(fields.get("altitude")),
        battery=battery,
        mock=is_true(fields.get("mock")),
        raw=raw,
    )


def _place(fields: Mapping[str, object]) -> tuple[object, object]:
    location = fields.get("location")
    if isinstance(location, str) and "lat" not in fields and "lon" not in fields:
        latitude, _, longitude = location.partition(",")
        return numeric(latitude), numeric(longitude)
    return numeric(fields.get("lat")), numeric(fields.get("lon"))
