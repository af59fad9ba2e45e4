"""Whatever a driver app's address is sent: its adapter never raises, and nothing odd gets through."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.apps import NOW, all_of, outcome
from waypost.directory.domain import Transistor
from waypost.tracking.domain import Fix, Reason, Rejected, Report
from waypost.tracking.protocols import osmand, overland, owntracks, transistor
from waypost.tracking.protocols.records import RAW_BYTES, Fault, Heard, Read

TEMPLATE = Transistor("data", {"latitude": "0", "longitude": "a.b", "timestamp": "ts", "battery": "coords.0"})
ADAPTERS: dict[str, Callable[[bytes], Read]] = {
    "osmand": lambda body: osmand.read([], "application/json", body, NOW),
    "osmand-form": lambda body: osmand.read([("id", "1")], "application/x-www-form-urlencoded", body, NOW),
    "owntracks": lambda body: owntracks.read(body, NOW, "secret"),
    "overland": lambda body: overland.read(body, NOW),
    "transistor": lambda body: transistor.read(body, NOW),
    "transistor-template": lambda body: transistor.read(body, NOW, TEMPLATE),
}
WORDS = [
    "location", "locations", "coords", "latitude", "longitude", "lat", "lon", "lng", "timestamp", "tst", "ts", "speed",
    "vel", "accuracy", "acc", "heading", "cog", "altitude", "alt", "battery", "batt", "level", "battery_level", "mock",
    "uuid", "_id", "_type", "type", "event", "action", "current", "trip", "properties", "geometry", "coordinates",
    "horizontal_accuracy", "course", "data", "provider", "enabled", "t", "valid", "notificationToken", "a", "b",
]  # fmt: skip
VALUES = [
    "location", "encrypted", "lwt", "Feature", "Point", "heartbeat", "providerchange", "trip", "visit", "b", "true",
    "2026-11-22T11:59:59Z", "2015-10-01T08:00:00-0700", "2014-06-04 09:10:11", "-17.8252", "1e999", "NaN", "", "\x00",
    "1e306", "-1e308", "60,30", "\ud800", "1" * 500,
]  # fmt: skip
NUMBERS = [
    0, -1, 1, 90, 180, 1555, 1795348790, 1795348790123, 817000000, 2**63, 10**400, 1e308, -1e308, 1e306, -0.0, 0.76,
    1e-320,
]  # fmt: skip

scalars = st.one_of(
    st.none(), st.booleans(), st.sampled_from(NUMBERS), st.sampled_from(VALUES), st.integers(),
    st.floats(allow_nan=True, allow_infinity=True), st.text(max_size=20),
)  # fmt: skip
keys = st.one_of(st.sampled_from(WORDS), st.text(max_size=8))
trees = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=5), st.dictionaries(keys, inner, max_size=8)),
    max_leaves=30,
)
json_bodies = trees.map(lambda tree: json.dumps(tree).encode())
records = st.lists(st.one_of(trees, st.dictionaries(st.sampled_from(WORDS), trees, max_size=10)), max_size=6)
batches = st.builds(
    lambda root, items: json.dumps({root: items}).encode(), st.sampled_from(["location", "locations", "data"]), records
)
cut = st.builds(lambda body, at: body[: at % (len(body) + 1)], batches, st.integers(0, 10_000))
forms = st.lists(st.tuples(keys, st.one_of(st.sampled_from(VALUES), st.text(max_size=30)))).map(
    lambda pairs: "&".join(f"{name}={value}" for name, value in pairs).encode(errors="replace")
)


# A good body of each app, of which one member at a time becomes something else.
COORDS = {"latitude": -17.8252, "longitude": 31.0335, "accuracy": 6.5, "speed": 13.4, "heading": 271, "altitude": 1490}
SDK = {"uuid": "4a8f", "timestamp": "2026-11-22T11:59:59.123Z", "event": "", "coords": COORDS, "mock": False,
       "battery": {"level": 0.76}}  # fmt: skip
FEATURE = {
    "type": "Feature",
    "geometry": {"type": "Point", "coordinates": [31.0335, -17.8252]},
    "properties": {"timestamp": "2026-11-22T11:59:59Z", "speed": 4, "horizontal_accuracy": 30, "battery_level": 0.9},
}
GOOD: list[Any] = [
    {"location": SDK}, {"location": [SDK, SDK]}, {"locations": [FEATURE, FEATURE], "current": FEATURE},
    {"_type": "location", "tst": 1795348790, "lat": -17.8252, "lon": 31.0335, "vel": 72, "batt": 76, "_id": "4a8f"},
    [{"lat": -17.8252, "lon": 31.0335, "timestamp": 1795348790, "speed": 40.0, "batt": 76}],
    {"data": [[-17.8252, {"b": 31.0335}, "2026-11-22T11:59:59Z"]]},
]  # fmt: skip


def spots(tree: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of everything in a tree."""
    members = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    return [path, *(spot for key, inner in members for spot in spots(inner, (*path, key)))]


def put(tree: Any, path: tuple[Any, ...], value: Any) -> Any:
    """The tree with something else at a path."""
    if not path:
        return value
    if isinstance(tree, dict):
        return tree | {path[0]: put(tree[path[0]], path[1:], value)}
    return [put(inner, path[1:], value) if n == path[0] else inner for n, inner in enumerate(tree)]


changed = st.sampled_from([(tree, path) for tree in GOOD for path in spots(tree)]).flatmap(
    lambda spot: trees.map(lambda value: json.dumps(put(*spot, value)).encode())
)
form = b"lat=-17.8252&lon=31.0335&timestamp=1795348790&speed=40&batt=76&"
good_forms = forms.map(lambda more: form + more)
bodies = st.one_of(st.binary(max_size=300), json_bodies, batches, cut, forms, good_forms, changed, changed)


def check(adapter: str, body: bytes) -> None:
    read = ADAPTERS[adapter](body)
    found = all_of(read)
    assert read.records >= len(found)
    for one in found:
        if isinstance(one, Report):
            _check_report(one)
        elif isinstance(one, Heard):
            assert one.kind
            assert one.battery_pct is None or 0 <= one.battery_pct <= 100
        else:
            assert isinstance(one, Fault)
            assert one.why
            assert len(one.raw) <= RAW_BYTES


def _check_report(report: Report) -> None:
    assert len(report.sent()) <= RAW_BYTES
    judged = outcome(report)
    if isinstance(judged, Rejected):
        assert judged.reason in Reason
        return
    assert isinstance(judged, Fix)
    assert -900_000_000 <= judged.latitude_e7 <= 900_000_000
    assert -1_800_000_000 <= judged.longitude_e7 <= 1_800_000_000
    measured: list[Any] = [judged.accuracy_m, judged.speed_mps, judged.heading_deg, judged.battery_pct]
    assert all(value is None or (math.isfinite(value) and value >= 0) for value in measured)
    assert judged.key is None or "\0" not in judged.key


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_no_body_makes_an_adapter_raise_and_nothing_odd_gets_through(adapter: str):
    @settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(bodies)
    def run(body: bytes) -> None:
        check(adapter, body)

    run()


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("adapter", ADAPTERS)
def test_nor_do_a_hundred_thousand_bodies(adapter: str):
    @settings(max_examples=100_000 // len(ADAPTERS) + 1, deadline=None, suppress_health_check=list(HealthCheck),
              database=None)  # fmt: skip
    @given(bodies)
    def run(body: bytes) -> None:
        check(adapter, body)

    run()


@pytest.mark.parametrize("adapter", ADAPTERS)
@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000, b'{"location":' * 50_000, b'{"a":' * 50_000 + b"1" + b"}" * 50_000, b"[1," * 100_000,
        b'{"locations":[' + b"1," * 1_000_000 + b"1]}", b"1" * 100_000, b'"' + b"a" * 1_000_000 + b'"',
        b'{"location":[' + b'"' + b"x" * 500_000 + b'"' + b"]}", b"a=1&" * 100_000,
    ],
    ids=range(9),
)  # fmt: skip
def test_bodies_made_to_hurt_are_faults(adapter: str, body: bytes):
    check(adapter, body)
    reports = [one for one in all_of(ADAPTERS[adapter](body)) if isinstance(one, Report)]
    assert not [one for one in reports if isinstance(outcome(one), Fix)]
