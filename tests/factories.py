"""Worlds for tests: an organisation with people, drivers, devices and trips, made through the services."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from uuid import UUID

from waypost.kernel.principal import Principal, Role
from waypost.trips.domain import Move, Trip
from waypost.trips.service import NewTrip
from waypost.wiring import Services

PASSWORD = "correct horse battery"
_phones = count(263771000100)
_names = count(1)


@dataclass(frozen=True, slots=True)
class Phone:
    """A device with its token, its driver and (if it was asked for) its running trip."""

    token: str
    device_id: UUID
    driver_id: UUID
    principal: Principal
    trip: Trip | None


@dataclass(frozen=True, slots=True)
class Org:
    """An organisation and its owner."""

    services: Services
    org_id: UUID
    owner: Principal
    owner_phone: str

    async def person(self, role: Role) -> tuple[Principal, str]:
        """A member of that role, and the phone number to sign in with."""
        phone = f"+{next(_phones)}"
        user_id = await self.services.identity.add_user(
            org_id=self.org_id, name=f"{role} {phone[-3:]}", role=role, password=PASSWORD, phone=phone
        )
        return Principal(self.org_id, role, user_id=user_id), phone

    async def token(self, phone: str | None = None) -> str:
        """An access token of the owner, or of who signs in with ``phone``."""
        text, _ = await self.services.identity.sign_in(phone=phone or self.owner_phone, email=None, password=PASSWORD)
        return text

    async def phone(self, *, running: bool = True, in_truck: bool = False, to: UUID | None = None) -> Phone:
        """A driver with a phone; ``running``: on a trip; ``to``: for that organisation."""
        directory, trips, number = self.services.directory, self.services.trips, next(_names)
        driver = await directory.add_driver(self.owner, name=f"Driver {number}")
        truck = await directory.add_truck(self.owner, name=f"Truck {number}") if in_truck else None
        device, token = await directory.add_device(
            self.owner, name=f"Phone {number}", driver_id=driver.id, truck_id=truck
        )
        trip = None
        if running:
            trip = await trips.create(self.owner, NewTrip(driver_id=driver.id, truck_id=truck, destination_org_id=to))
            trip = await trips.move(self.owner, trip.id, Move.START)
        principal = await self.services.devices.authenticate(token)
        return Phone(token, device.id, driver.id, principal, trip)


async def organisation(services: Services, name: str = "Harare Haulage") -> Org:
    """A new organisation with an owner."""
    phone = f"+{next(_phones)}"
    org_id = await services.identity.add_organisation(name)
    user_id = await services.identity.add_user(
        org_id=org_id, name="Owner", role=Role.OWNER, password=PASSWORD, phone=phone
    )
    return Org(services, org_id, Principal(org_id, Role.OWNER, user_id=user_id), phone)
