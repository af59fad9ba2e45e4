"""Bodies of the registers."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta

from waypost.directory import domain
from waypost.platform.codec import NO_NUL, SOME_TEXT, Instant, instant, instant_or_none

Name = Annotated[str, Meta(min_length=1, max_length=200, pattern=SOME_TEXT)]


class NewDriver(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """A driver to be."""

    name: Name
    phone: Annotated[str, Meta(max_length=40, pattern=NO_NUL)] | None = None


class Driver(msgspec.Struct, rename="camel", omit_defaults=True):
    """A person who drives."""

    id: UUID
    name: str
    created_at: Instant
    phone: str | None = None

    @classmethod
    def from_domain(cls, driver: domain.Driver) -> Driver:
        return cls(driver.id, driver.name, instant(driver.created_at), driver.phone)


class NewDevice(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """A phone for a driver, in a truck or not."""

    name: Name
    driver_id: UUID
    truck_id: UUID | None = None


class Device(msgspec.Struct, rename="camel", omit_defaults=True):
    """A phone that reports. ``token`` is given once, when it is made."""

    id: UUID
    name: str
    driver_id: UUID
    created_at: Instant
    truck_id: UUID | None = None
    revoked_at: Instant | None = None
    token: str | None = None

    @classmethod
    def from_domain(cls, device: domain.Device, token: str | None = None) -> Device:
        return cls(
            id=device.id,
            name=device.name,
            driver_id=device.driver_id,
            created_at=instant(device.created_at),
            truck_id=device.truck_id,
            revoked_at=instant_or_none(device.revoked_at),
            token=token,
        )
