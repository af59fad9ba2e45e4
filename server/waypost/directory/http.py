"""HTTP edge of the registers."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from waypost.directory import wire
from waypost.directory.domain import DeviceNotFound, DeviceRevoked, DriverNotFound, TruckNotFound
from waypost.directory.service import Directory
from waypost.kernel.principal import PLANNERS
from waypost.platform.queries import PageQuery
from waypost.platform.routes import Cache, Route
from waypost.platform.web import PRINCIPAL, path_id, read_body, read_query, reply, reply_page


@dataclass(frozen=True, slots=True)
class DirectoryRoutes:
    """Drivers and devices."""

    directory: Directory

    def routes(self) -> list[Route]:
        return [
            Route("GET", "/api/v1/drivers", self.list_drivers, answer=wire.Driver, listing=True, query=PageQuery,
                  roles=PLANNERS, cache=Cache.PRIVATE),
            Route("POST", "/api/v1/drivers", self.add_driver, status=201, answer=wire.Driver, body=wire.NewDriver,
                  roles=PLANNERS, idempotent=True),
            Route("GET", "/api/v1/devices", self.list_devices, answer=wire.Device, listing=True, query=PageQuery,
                  roles=PLANNERS, cache=Cache.PRIVATE),
            Route("POST", "/api/v1/devices", self.add_device, status=201, answer=wire.Device, body=wire.NewDevice,
                  roles=PLANNERS, errors=(DriverNotFound, TruckNotFound), idempotent=True),
            Route("POST", "/api/v1/devices/{device_id}/revoke", self.revoke_device, answer=wire.Device,
                  roles=PLANNERS, errors=(DeviceNotFound, DeviceRevoked)),
        ]  # fmt: skip

    async def list_drivers(self, request: web.Request) -> web.Response:
        """Who drives."""
        query = read_query(request, PageQuery)
        page = await self.directory.drivers(request[PRINCIPAL], query.limit, query.cursor)
        return reply_page(request, page, wire.Driver.from_domain)

    async def add_driver(self, request: web.Request) -> web.Response:
        """Add a driver."""
        body = await read_body(request, wire.NewDriver)
        driver = await self.directory.add_driver(request[PRINCIPAL], name=body.name, phone=body.phone)
        return reply(wire.Driver.from_domain(driver), status=201)

    async def list_devices(self, request: web.Request) -> web.Response:
        """The phones that report, withdrawn ones too."""
        query = read_query(request, PageQuery)
        page = await self.directory.devices(request[PRINCIPAL], query.limit, query.cursor)
        return reply_page(request, page, wire.Device.from_domain)

    async def add_device(self, request: web.Request) -> web.Response:
        """Add a phone; its token is in this answer and in no later one."""
        body = await read_body(request, wire.NewDevice)
        device, token = await self.directory.add_device(
            request[PRINCIPAL], name=body.name, driver_id=body.driver_id, truck_id=body.truck_id
        )
        return reply(wire.Device.from_domain(device, token), status=201)

    async def revoke_device(self, request: web.Request) -> web.Response:
        """Withdraw a phone's token; its connections end within five seconds."""
        device_id = path_id(request, "device_id", DeviceNotFound)
        device = await self.directory.revoke_device(request[PRINCIPAL], device_id)
        return reply(wire.Device.from_domain(device))
