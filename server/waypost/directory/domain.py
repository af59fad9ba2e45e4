"""What the registers hold."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from waypost.kernel.errors import Conflict, NotFound


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
    """The device's token was withdrawn before."""

    code = "device-revoked"


@dataclass(frozen=True, slots=True)
class Driver:
    """A person who drives."""

    id: UUID
    name: str
    phone: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Device:
    """A phone that reports for a driver; its truck, where it sits in one. The token itself is kept by nobody."""

    id: UUID
    name: str
    driver_id: UUID
    truck_id: UUID | None
    created_at: datetime
    revoked_at: datetime | None

    @property
    def vehicle_id(self) -> UUID:
        """The truck the device is in, else the device itself."""
        return self.truck_id or self.id
