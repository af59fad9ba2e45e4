"""Who reports: the device, and whose it is as its token says."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from waypost.directory.domain import Assignment
from waypost.kernel.principal import Principal, Role


@dataclass(frozen=True, slots=True)
class Reporter:
    """A device, with the driver and the vehicle (the truck, or itself) of its token."""

    org_id: UUID
    device_id: UUID
    driver_id: UUID | None
    vehicle_id: UUID

    @classmethod
    def of(cls, principal: Principal) -> Reporter | None:
        """None when the principal is no device."""
        if principal.device_id is None or principal.driver_id is None or principal.vehicle_id is None:
            return None
        return cls(principal.org_id, principal.device_id, principal.driver_id, principal.vehicle_id)

    def principal(self, driver_id: UUID | None) -> Principal:
        """The device as it speaks, or spoke, for that driver."""
        return Principal(self.org_id, Role.DRIVER, device_id=self.device_id, driver_id=driver_id)

    def assignment(self, since: datetime) -> Assignment | None:
        """What its token says, for a device whose history nobody has begun."""
        if self.driver_id is None:
            return None
        truck_id = None if self.vehicle_id == self.device_id else self.vehicle_id
        return Assignment(self.driver_id, truck_id, since, None)
