"""One drive, as each driver app would tell it: in its own words, units and resolution."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import cos, radians
from typing import Any
from urllib.parse import urlencode

from nacl.secret import SecretBox

SECRET = "mysecreTpass01"
KNOT_MPS = 1852 / 3600
EPOCH_2001_S = 978_307_200
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@dataclass(frozen=True, slots=True)
class Fix:
    """What the receiver measured: degrees, metres, m/s, percent."""

    at: datetime
    lat: float
    lon: float
    speed: float
    heading: int = 90
    accuracy: int = 6
    altitude: int = 1490
    battery: int = 76

    @property
    def s(self) -> int:
        return round(self.at.timestamp())

    @property
    def iso(self) -> str:
        return self.at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def bad(self) -> Fix:
        """The same where nobody can be."""
        return Fix(self.at, 12.0, 1555.0, self.speed)


@dataclass(frozen=True, slots=True)
class Request:
    """What an app sends. ``address``: after the server's, with ``{token}`` where it types the token."""

    method: str
    address: str
    body: bytes | None = None
    headers: tuple[tuple[str, str], ...] = ()


def drive(seconds: int, *, until: datetime, speeds: Sequence[float] = (5, 10, 15, 20), ms: int = 0) -> list[Fix]:
    """Eastwards, a fix a second, at speeds that each app can tell exactly. ``ms``: past the whole second."""
    fixes, lon = [], 31.0335
    first = until.replace(microsecond=ms * 1000) - timedelta(seconds=seconds)
    for n in range(seconds):
        speed = speeds[n // 4 % len(speeds)]
        lon = round(lon + speed / (111_320 * cos(radians(17.8252))), 7)
        fixes.append(Fix(first + timedelta(seconds=n), -17.8252, lon, speed))
    return fixes


def _post(address: str, value: Any) -> Request:
    return Request("POST", address, json.dumps(value).encode(), (("Content-Type", "application/json"),))


def _osmand_fields(fix: Fix) -> dict[str, Any]:
    return {
        "id": "123456", "timestamp": fix.s, "lat": fix.lat, "lon": fix.lon, "speed": fix.speed / KNOT_MPS,
        "bearing": fix.heading, "altitude": fix.altitude, "accuracy": fix.accuracy, "batt": fix.battery,
    }  # fmt: skip


OSMAND = "/api/v1/ingest/osmand/{token}"


def osmand(fixes: Iterable[Fix]) -> list[Request]:
    return [Request("GET", f"{OSMAND}?{urlencode(_osmand_fields(fix))}") for fix in fixes]


def traccar_8(fixes: Iterable[Fix]) -> list[Request]:
    return [Request("POST", f"{OSMAND}?{urlencode(_osmand_fields(fix))}") for fix in fixes]


def traccar_9(fixes: Iterable[Fix]) -> list[Request]:
    filler = {"_": "&id=1&lat=0&lon=0&"}
    return [_post(OSMAND, {"location": _sdk(fix) | filler, "device_id": "48241179"}) for fix in fixes]


def traccar_10(fixes: Iterable[Fix]) -> list[Request]:
    two = [_osmand_fields(fix) | {"speed": round(fix.speed / KNOT_MPS, 2), "charge": "false"} for fix in fixes]
    return [Request("POST", OSMAND, urlencode(fields).encode(), tuple(FORM.items())) for fields in two]


def _owntracks(fix: Fix) -> dict[str, Any]:
    return {
        "_type": "location", "tst": fix.s, "lat": fix.lat, "lon": fix.lon, "vel": round(fix.speed * 3.6),
        "cog": fix.heading, "acc": fix.accuracy, "alt": fix.altitude, "batt": fix.battery, "tid": "JJ", "t": "t",
        "created_at": fix.s + 1, "_id": f"{fix.s:x}", "topic": "owntracks/jjolie/phone",
    }  # fmt: skip


OWNTRACKS = "/api/v1/ingest/owntracks/{token}"


def owntracks(fixes: Iterable[Fix]) -> list[Request]:
    return [_post(OWNTRACKS, _owntracks(fix)) for fix in fixes]


def owntracks_encrypted(fixes: Iterable[Fix]) -> list[Request]:
    return [_post(OWNTRACKS, sealed(_owntracks(fix))) for fix in fixes]


def sealed(message: Any, secret: str = SECRET) -> dict[str, str]:
    """As the apps do it: the key is the secret's text, padded with zero bytes."""
    box = SecretBox(secret.encode().ljust(32, b"\0")).encrypt(json.dumps(message).encode())
    return {"_type": "encrypted", "data": base64.b64encode(box).decode()}


OVERLAND = "/api/v1/ingest/overland/{token}"


def overland_owntracks(fixes: Iterable[Fix]) -> list[Request]:
    """Its mode that counts from 2001, and tells neither speed nor heading: not for comparisons of these."""
    names = ("_type", "lat", "lon", "acc", "batt", "topic")
    return [
        _post(OVERLAND, {k: v for k, v in _owntracks(fix).items() if k in names} | {"tst": fix.s - EPOCH_2001_S})
        for fix in fixes
    ]


def _feature(fix: Fix, timestamp: str, **more: Any) -> dict[str, Any]:
    return {
        "type": "Feature",
        "geometry": {"type": "Point", "coordinates": [fix.lon, fix.lat]},
        "properties": {
            "timestamp": timestamp, "altitude": fix.altitude, "speed": fix.speed, "course": fix.heading,
            "horizontal_accuracy": fix.accuracy, "vertical_accuracy": -1, "motion": ["driving"], "wifi": "",
            "device_id": "", "battery_level": fix.battery / 100, **more,
        },
    }  # fmt: skip


def overland_batch(fixes: Sequence[Fix], current: Fix | None = None) -> Request:
    zone = [fix.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S+0000") for fix in fixes]
    features = [_feature(fix, at, battery_state="unplugged") for fix, at in zip(fixes, zone, strict=True)]
    more = {"current": _feature(current, current.iso)} if current else {}
    return _post(OVERLAND, {"locations": features, **more})


def overland(fixes: Iterable[Fix]) -> list[Request]:
    return [overland_batch(list(fixes))]


def overland_android(fixes: Iterable[Fix]) -> list[Request]:
    return [_post(OVERLAND, {"locations": [_feature(fix, fix.iso, battery_state=False) for fix in fixes]})]


def _sdk(fix: Fix) -> dict[str, Any]:
    return {
        "uuid": f"uuid-{fix.iso}", "timestamp": fix.iso, "event": "motionchange", "is_moving": True, "age": 9,
        "odometer": 12.5,
        "coords": {"latitude": fix.lat, "longitude": fix.lon, "accuracy": fix.accuracy, "speed": fix.speed,
                   "heading": fix.heading, "altitude": fix.altitude},
        "battery": {"level": fix.battery / 100, "is_charging": False},
        "activity": {"type": "in_vehicle", "confidence": 100},
    }  # fmt: skip


TRANSISTOR = "/api/v1/ingest/transistor/{token}"


def transistor(fixes: Iterable[Fix]) -> list[Request]:
    return [_post(TRANSISTOR, {"location": _sdk(fix), "device_id": "x"}) for fix in fixes]


def transistor_batch(fixes: Iterable[Fix]) -> Request:
    return _post(TRANSISTOR, {"location": [_sdk(fix) for fix in fixes]})


def transistor_newest_first(fixes: Iterable[Fix]) -> list[Request]:
    return [transistor_batch(reversed(list(fixes)))]


def native(fixes: Iterable[Fix]) -> list[Request]:
    """Our own batch, with the token where it belongs."""
    locations = [
        {"latitude": fix.lat, "longitude": fix.lon, "timestamp": fix.iso, "accuracy": fix.accuracy, "speed": fix.speed,
         "heading": fix.heading, "altitude": fix.altitude, "battery": fix.battery}
        for fix in fixes
    ]  # fmt: skip
    return [_post("/api/v1/tracking/ping", {"locations": locations})]


App = Callable[[Sequence[Fix]], list[Request]]
APPS: dict[str, App] = {
    "osmand": osmand, "traccar 8": traccar_8, "traccar 9": traccar_9, "traccar 10": traccar_10, "owntracks": owntracks,
    "owntracks encrypted": owntracks_encrypted, "overland": overland, "overland android": overland_android,
    "transistor": transistor, "transistor newest first": transistor_newest_first,
}  # fmt: skip
# Those that tell milliseconds and any speed.
FINE: dict[str, App] = {name: APPS[name] for name in ("traccar 9", "overland android", "transistor")}
