"""What the registers hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TypeAlias
from uuid import UUID

import msgspec

from waypost.kernel.errors import Conflict, NotFound
from waypost.kernel.principal import Principal, Role

OLD_TOKEN_LIFE = timedelta(
    hours=24
)  # a phone far from the office goes on with the old token until somebody types the new


class DriverNotFound(NotFound):
    """No such driver, or none of yours."""

    code = "driver-not-found"


class TruckNotFound(NotFound):
    """No such truck, or none of yours."""

    code = "truck-not-found"


class CustomerNotFound(NotFound):
    """No such customer, or none of yours."""

    code = "customer-not-found"


class DeviceNotFound(NotFound):
    """No such device, or none of yours."""

    code = "device-not-found"


class DeviceRevoked(Conflict):
    """The device's token was withdrawn before; add a new device."""

    code = "device-revoked"


class Archived(Conflict):
    """It is archived, and stays as it is."""

    code = "archived"


class DriverOnTheRoad(Conflict):
    """The driver is running a trip; complete or cancel it first."""

    code = "driver-busy"


class TruckOnTheRoad(Conflict):
    """The truck is on a running trip; complete or cancel it first."""

    code = "truck-busy"


class MemberDrivesAlready(Conflict):
    """That member is linked to another driver."""

    code = "member-drives-already"


@dataclass(frozen=True, slots=True)
class Driver:
    """A person who drives; ``user_id``: the member they sign in as."""

    id: UUID
    name: str
    phone: str | None
    user_id: UUID | None
    created_at: datetime
    archived_at: datetime | None
    version: int


@dataclass(frozen=True, slots=True)
class Truck:
    """A vehicle of the organisation."""

    id: UUID
    name: str
    plate: str | None
    created_at: datetime
    archived_at: datetime | None
    version: int


@dataclass(frozen=True, slots=True)
class Customer:
    """Who is delivered to. ``locale``: a BCP 47 tag; ``time_zone``: an IANA name."""

    id: UUID
    name: str
    phone: str | None
    email: str | None
    locale: str | None
    time_zone: str | None
    created_at: datetime
    archived_at: datetime | None
    version: int


Entry: TypeAlias = Driver | Truck | Customer


class Transistor(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a phone's background-geolocation SDK was told to write. ``root``: the key it writes under (``.``: none);
    ``fields``: ours to the path in a location, where the SDK by itself writes otherwise (``coords.latitude``; a number
    is a place in an array).
    """

    root: str | None = None
    fields: dict[str, str] = {}


@dataclass(frozen=True, slots=True)
class Device:
    """A phone that reports for a driver; its truck, where it sits in one. The token itself is kept by nobody."""

    id: UUID
    name: str
    driver_id: UUID
    driver_name: str
    truck_id: UUID | None
    truck_name: str | None
    created_at: datetime
    revoked_at: datetime | None
    last_seen_at: datetime | None
    old_token_until: datetime | None
    version: int
    transistor: Transistor | None = None
    has_owntracks_secret: bool = False

    @property
    def vehicle_id(self) -> UUID:
        """The truck the device is in, else the device itself."""
        return self.truck_id or self.id


@dataclass(frozen=True, slots=True)
class Assignment:
    """Whose phone a device was, in which truck, from ``from_at`` up to, not including, ``until_at`` (None: still)."""

    driver_id: UUID
    truck_id: UUID | None
    from_at: datetime
    until_at: datetime | None


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which entries of a register a list shows: those in use or those put away; ``text``: with it in their names."""

    text: str | None = None
    archived: bool = False


@dataclass(frozen=True, slots=True)
class DevicesWanted:
    """Which devices a list shows; None: any."""

    driver_id: UUID | None = None
    truck_id: UUID | None = None
    revoked: bool | None = None


def assignment_at(assignments: Sequence[Assignment], moment: datetime) -> Assignment | None:
    """Whose the device was then: the last that had begun, else the first. ``assignments``: oldest first."""
    begun = [assignment for assignment in assignments if assignment.from_at <= moment]
    return begun[-1] if begun else next(iter(assignments), None)


def driver_seen_by(principal: Principal, driver: Driver) -> Driver:
    """A viewer sees who drives, not how they are reached."""
    return replace(driver, phone=None, user_id=None) if principal.role is Role.VIEWER else driver


def set_up_text(url: str, token: str) -> str:
    """What the driver types where, to be read out or sent on."""
    return (
        "In the tracking app, open the settings and type:\n"
        f"Server: {url}\n"
        f"Token: {token}\n"
        "Another app takes one of these addresses instead:\n"
        f"Traccar Client: {url}/api/v1/ingest/osmand/{token}\n"
        f"OwnTracks (mode HTTP): {url}/api/v1/ingest/owntracks/{token}\n"
        f"Overland: {url}/api/v1/ingest/overland/{token}\n"
        f"Apps with the SDK of transistorsoft: {url}/api/v1/ingest/transistor/{token}\n"
        "The token is this phone's key: whoever has it reports as this phone. It is shown this once."
    )
