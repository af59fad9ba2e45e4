"""Worlds for tests: an organisation with people, drivers, devices and trips, made through the services."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from typing import Any
from uuid import UUID

from waypost.identity.domain import SignedIn
from waypost.jobs.domain import Asked
from waypost.kernel.principal import Principal, Role
from waypost.platform.database import SYSTEM
from waypost.trips.domain import Move, Trip
from waypost.trips.service import NewTrip
from waypost.wiring import Services
from waypost.wiring_work import relay_over

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
        return (await self.session(phone)).access_token

    async def session(self, phone: str | None = None) -> SignedIn:
        """A session of the owner, or of who signs in with ``phone``."""
        return await self.services.identity.sign_in(phone=phone or self.owner_phone, email=None, password=PASSWORD)

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


NEVER_QUIET = """
UPDATE organisations SET settings = settings || '{"telling": {"quiet": {"start": "00:00", "end": "00:00"}}}'
 WHERE org_id = $1
"""


async def organisation(services: Services, name: str = "Harare Haulage") -> Org:
    """A new organisation with an owner; without quiet hours, since tests run by day and by night."""
    phone = f"+{next(_phones)}"
    org_id = await services.identity.add_organisation(name)
    async with services.database.transaction(SYSTEM) as conn:
        await conn.execute(NEVER_QUIET, org_id)
    user_id = await services.identity.add_user(
        org_id=org_id, name="Owner", role=Role.OWNER, password=PASSWORD, phone=phone
    )
    return Org(services, org_id, Principal(org_id, Role.OWNER, user_id=user_id), phone)


FIRST_OF = {
    "notification_id": "SELECT id FROM notifications ORDER BY id LIMIT 1",
    "delivery_id": "SELECT id FROM deliveries ORDER BY id LIMIT 1",
}


async def things(org: Org) -> dict[str, Any]:
    """One of everything that an organisation may have, by the name that its id (or token) has in a path."""
    services, owner = org.services, org.owner
    phone = await org.phone(in_truck=True, running=False)
    customer = await services.directory.add_customer(owner, name="Chipo", email="chipo@example.com")
    trip = await services.trips.create(owner, NewTrip(driver_id=phone.driver_id, customer_id=customer))
    await services.trips.move(owner, trip.id, Move.START)
    await relay_over(services).expand()
    invitation, _ = await services.invitations.invite(owner, name="Rudo", phone=f"+{next(_phones)}", role=Role.VIEWER)
    job = await services.jobs.export(owner, Asked("trips"))
    async with services.database.transaction(org.org_id) as conn:
        rows = {name: await conn.fetchval(query) for name, query in FIRST_OF.items()}
    from tests.money_things import money_things  # they are made with what is here
    from tests.telling_things import telling_things

    return (
        rows
        | await money_things(org)
        | await telling_things(org)
        | {
            "trip_id": trip.id,
            "driver_id": phone.driver_id,
            "device_id": phone.device_id,
            "device_token": phone.token,
            "z": 12,  # a tile of the map
            "x": 2401,
            "y": 2253,
            "truck_id": phone.principal.vehicle_id or phone.device_id,
            "customer_id": customer,
            "user_id": owner.user_id or org.org_id,
            "invitation_id": invitation.id,
            "job_id": job.id,
        }
    )
