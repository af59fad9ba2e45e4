"""HTTP edge of the registers."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from waypost.directory import wire
from waypost.directory.domain import DeviceNotFound
from waypost.directory.service import Directory
from waypost.platform.web import PRINCIPAL, paging, path_id, read_body, reply, reply_page


@dataclass(frozen=True, slots=True)
class DirectoryRoutes:
    """Drivers and devices."""

    directory: Directory

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/api/v1/drivers", self.list_drivers),
            web.post("/api/v1/drivers", self.add_driver),
            web.get("/api/v1/devices", self.list_devices),
            web.post("/api/v1/devices", self.add_device),
            web.post("/api/v1/devices/{device_id}/revoke", self.revoke_device),
        ]

    async def list_drivers(self, request: web.Request) -> web.Response:
        page = await self.directory.drivers(request[PRINCIPAL], *paging(request))
        return reply_page(page, wire.Driver.from_domain)

    async def add_driver(self, request: web.Request) -> web.Response:
        body = await read_body(request, wire.NewDriver)
        driver = await self.directory.add_driver(request[PRINCIPAL], name=body.name, phone=body.phone)
        return reply(wire.Driver.from_domain(driver), status=201)

    async def list_devices(self, request: web.Request) -> web.Response:
        page = await self.directory.devices(request[PRINCIPAL], *paging(request))
        return reply_page(page, wire.Device.from_domain)

    async def add_device(self, request: web.Request) -> web.Response:
        body = await read_body(request, wire.NewDevice)
        device, token = await self.directory.add_device(
            request[PRINCIPAL], name=body.name, driver_id=body.driver_id, truck_id=body.truck_id
        )
        return reply(wire.Device.from_domain(device, token), status=201)

    async def revoke_device(self, request: web.Request) -> web.Response:
        device_id = path_id(request, "device_id", DeviceNotFound)
        device = await self.directory.revoke_device(request[PRINCIPAL], device_id)
        return reply(wire.Device.from_domain(device))
