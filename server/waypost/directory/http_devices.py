"""HTTP edge of the register of devices."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from waypost.directory import wire
from waypost.directory.device_register import DeviceRegister
from waypost.directory.domain import Device, DeviceNotFound, DeviceRevoked, DriverNotFound, TruckNotFound
from waypost.kernel.principal import PLANNERS
from waypost.platform.addresses import public_root
from waypost.platform.routes import Cache, Route
from waypost.platform.web import PRINCIPAL, if_match, path_id, read_body, read_query, reply_page, reply_versioned

PATH = "/api/v1/devices"
ONE = PATH + "/{device_id}"
NAMES = (DriverNotFound, TruckNotFound)


@dataclass(frozen=True, slots=True)
class DeviceRoutes:
    """Phones that report. ``public_url``: where phones reach us; None: where this request did."""

    devices: DeviceRegister
    public_url: str | None

    def routes(self) -> list[Route]:
        return [
            Route("GET", PATH, self.list_devices, answer=wire.Device, listing=True, query=wire.DevicesQuery,
                  roles=PLANNERS, cache=Cache.PRIVATE),
            Route("POST", PATH, self.add_device, status=201, answer=wire.DeviceWithToken, body=wire.NewDevice,
                  roles=PLANNERS, errors=NAMES, idempotent=True, versioned=True),
            Route("GET", ONE, self.get_device, answer=wire.Device, roles=PLANNERS, errors=(DeviceNotFound,),
                  cache=Cache.PRIVATE, versioned=True),
            Route("PATCH", ONE, self.change_device, answer=wire.Device, body=wire.DeviceChange, roles=PLANNERS,
                  errors=(DeviceNotFound, DeviceRevoked, *NAMES), versioned=True),
            Route("POST", ONE + "/revoke", self.revoke_device, answer=wire.Device, roles=PLANNERS,
                  errors=(DeviceNotFound, DeviceRevoked)),
            Route("POST", ONE + "/token", self.replace_token, answer=wire.DeviceWithToken, roles=PLANNERS,
                  errors=(DeviceNotFound, DeviceRevoked), idempotent=True),
        ]  # fmt: skip

    async def list_devices(self, request: web.Request) -> web.Response:
        """The phones that report, withdrawn ones too."""
        query = read_query(request, wire.DevicesQuery)
        page = await self.devices.list(request[PRINCIPAL], query.wanted(), query.limit, query.cursor)
        return reply_page(request, page, wire.Device.from_domain)

    async def add_device(self, request: web.Request) -> web.Response:
        """Add a phone; its token is in this answer and in no later one."""
        body = await read_body(request, wire.NewDevice)
        device, token = await self.devices.add(
            request[PRINCIPAL], name=body.name, driver_id=body.driver_id, truck_id=body.truck_id
        )
        return self._reply_with_token(request, device, token, status=201)

    async def get_device(self, request: web.Request) -> web.Response:
        """One phone."""
        device_id = path_id(request, "device_id", DeviceNotFound)
        return _reply(await self.devices.find(request[PRINCIPAL], device_id))

    async def change_device(self, request: web.Request) -> web.Response:
        """Give a phone another name, driver or truck; what it reports of the time before stays the old driver's."""
        device_id = path_id(request, "device_id", DeviceNotFound)
        body, expected = await read_body(request, wire.DeviceChange), if_match(request)
        changed = await self.devices.change(request[PRINCIPAL], device_id, body.values(), expected=expected)
        return _reply(changed)

    async def revoke_device(self, request: web.Request) -> web.Response:
        """Withdraw a phone's token; its connections end within five seconds."""
        return _reply(await self.devices.revoke(request[PRINCIPAL], path_id(request, "device_id", DeviceNotFound)))

    async def replace_token(self, request: web.Request) -> web.Response:
        """A new token for a phone; the present one goes on for a day."""
        device_id = path_id(request, "device_id", DeviceNotFound)
        device, token = await self.devices.replace_token(request[PRINCIPAL], device_id)
        return self._reply_with_token(request, device, token)

    def _reply_with_token(self, request: web.Request, device: Device, token: str, status: int = 200) -> web.Response:
        shown = wire.DeviceWithToken.of(device, token, self.public_url or public_root(request))
        return reply_versioned(shown, device.version, status)


def _reply(device: Device) -> web.Response:
    return reply_versioned(wire.Device.from_domain(device), device.version)
