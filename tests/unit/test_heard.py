"""What the sockets of the tests find wrong in what they hear."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.heard import Events
from waypost.kernel.principal import Principal
from waypost.platform.asyncapi import EventDescription
from waypost.realtime.catalogue import Command, Hearers, Told


class Gate(msgspec.Struct, rename="camel"):
    """A gate."""

    gate_id: int


class Opened(msgspec.Struct, rename="camel"):
    """A gate that was opened."""

    gate: Gate
    missed: list[Any] = []


async def open_gate(_principal: Principal, _sid: str, _data: object) -> Opened:
    """Open a gate. It may squeak."""
    return Opened(Gate(1))


EVENTS = Events.of(
    EventDescription("Gates", "1").document(
        [Command("gate:open", open_gate, takes=Gate, gives=Opened), Command("gate:close", open_gate, takes=Gate)],
        [
            Told("gate:moved", Gate, (Hearers.TRIP, Hearers.FLEET), "A gate has moved."),
            Told("gate:rust", Gate, (Hearers.CONNECTION,), "It rusts.", counted=False),
        ],
    )
)
PLACE = {"epoch": "a", "seq": 1}


@pytest.mark.parametrize(
    ("name", "bodies", "wrong"),
    [
        ("gate:moved", [{"gateId": 1, **PLACE}], None),
        ("gate:rust", [{"gateId": 1}], None),
        ("gate:lost", [{"gateId": 1}], "not described"),
        ("gate:moved", [{"gateId": "one", **PLACE}], "'one' is not of type"),
        ("gate:moved", [{"gateId": 1}], "'epoch' is a required"),
        ("gate:moved", [{"gateId": 1, **PLACE, "colour": "red"}], "'colour' was unexpected"),
        ("gate:moved", [{"gateId": 1, **PLACE, "from": 1}], "'from' was unexpected"),
        ("gate:rust", [{"gateId": 1, "seq": 1}], "'seq' was unexpected"),
        ("gate:moved", [], "0 arguments"),
        ("gate:moved", [{"gateId": 1, **PLACE}, 2], "2 arguments"),
    ],
)
def test_an_event_is_as_described_or_found_wrong(name: str, bodies: list[object], wrong: str | None):
    found = EVENTS.wrong_of(name, *bodies)
    assert (wrong is None and not found) or (wrong is not None and wrong in " ".join(found)), found


def refused(code: str) -> dict[str, object]:
    return {"ok": False, "error": {"code": code, "detail": "why", "retry": False, "limit": 7}}


@pytest.mark.parametrize(
    ("name", "ack", "wrong"),
    [
        ("gate:open", {"ok": True, "gate": {"gateId": 1}}, None),
        ("gate:close", {"ok": True}, None),
        ("gate:open", refused("invalid"), None),
        ("gate:lose", refused("unknown-event"), None),
        ("gate:lose", {"ok": True}, "not described"),
        ("gate:open", refused("unheard-of"), "'unheard-of' is not one of"),
        ("gate:open", {"ok": False, "error": {"code": "invalid"}}, "'detail' is a required"),
        ("gate:open", {"ok": True}, "'gate' is a required"),
        ("gate:open", {"ok": True, "gate": {"gateId": 1, "hue": 1}}, "'hue' was unexpected"),
        ("gate:open", None, "the ack is None"),
        ("gate:open", {"ok": True, "gate": {"gateId": 1}, "missed": [{"event": "gate:moved", "data": {}}]}, "gateId"),
    ],
)
def test_an_ack_is_as_described_or_found_wrong(name: str, ack: Any, wrong: str | None):
    found = EVENTS.wrong_ack(name, ack)
    assert (wrong is None and not found) or (wrong is not None and wrong in " ".join(found)), found
