"""HTTP edge of the registers of drivers, trucks and customers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
from aiohttp import web

from waypost.directory import wire
from waypost.directory.domain import (
    Archived,
    CustomerNotFound,
    DriverNotFound,
    DriverOnTheRoad,
    Entry,
    MemberDrivesAlready,
    TruckNotFound,
    TruckOnTheRoad,
)
from waypost.directory.registers import Register
from waypost.directory.service import BOOKKEEPERS, Directory
from waypost.identity.domain import MemberNotFound
from waypost.kernel.errors import AppError, NotFound
from waypost.kernel.principal import PLANNERS, WATCHERS, Role
from waypost.platform.routes import Cache, Route
from waypost.platform.web import PRINCIPAL, if_match, path_id, read_body, read_query, reply_page, reply_versioned


@dataclass(frozen=True, slots=True)
class RegisterRoutes:
    """The five routes that each register has. ``key``: what the id is called in their paths."""

    register: Register[Any]
    path: str
    key: str
    shown: type[wire.Shown]
    new: type[msgspec.Struct]
    change_body: type[msgspec.Struct]
    readers: frozenset[Role]
    missing: type[NotFound]
    written: tuple[type[AppError], ...] = ()
    archived: tuple[type[AppError], ...] = ()

    @property
    def part(self) -> str:
        """What the id is called in the path: "driver_id" for "…/drivers"."""
        return f"{self.path.rpartition('/')[2].removesuffix('s')}_id"

    def routes(self) -> list[Route]:
        one, found = f"{self.path}/{{{self.part}}}", (self.missing,)
        return [
            Route("GET", self.path, self.list_all, answer=self.shown, listing=True, query=wire.RegisterQuery,
                  roles=self.readers, cache=Cache.PRIVATE),
            Route("POST", self.path, self.add, status=201, answer=self.shown, body=self.new, roles=PLANNERS,
                  errors=self.written, idempotent=True, versioned=True),
            Route("GET", one, self.get, answer=self.shown, roles=self.readers, errors=found, cache=Cache.PRIVATE,
                  versioned=True),
            Route("PATCH", one, self.change, answer=self.shown, body=self.change_body, roles=PLANNERS,
                  errors=(*found, Archived, *self.written), versioned=True),
            Route("DELETE", one, self.archive, status=204, roles=PLANNERS, errors=(*found, *self.archived)),
        ]  # fmt: skip

    async def list_all(self, request: web.Request) -> web.Response:
        """List those in use, or those put away."""
        query = read_query(request, wire.RegisterQuery)
        page = await self.register.list(request[PRINCIPAL], query.wanted(), query.limit, query.cursor)
        return reply_page(request, page, self.shown.from_domain)

    async def add(self, request: web.Request) -> web.Response:
        """Add one to this register."""
        body = await read_body(request, self.new)
        return self._reply(await self.register.add(request[PRINCIPAL], wire.given(body)), status=201)

    async def get(self, request: web.Request) -> web.Response:
        """One of this register, put away or not."""
        return self._reply(await self.register.find(request[PRINCIPAL], path_id(request, self.part, self.missing)))

    async def change(self, request: web.Request) -> web.Response:
        """Change one of this register; null empties a field, what is left out stays."""
        entry_id = path_id(request, self.part, self.missing)
        body, expected = await read_body(request, self.change_body), if_match(request)
        changed = await self.register.change(request[PRINCIPAL], entry_id, wire.given(body), expected=expected)
        return self._reply(changed)

    async def archive(self, request: web.Request) -> web.Response:
        """Put one of this register away; what names it goes on naming it."""
        await self.register.archive(request[PRINCIPAL], path_id(request, self.part, self.missing))
        return web.Response(status=204, headers={"Cache-Control": "no-store"})

    def _reply(self, entry: Entry, status: int = 200) -> web.Response:
        return reply_versioned(self.shown.from_domain(entry), entry.version, status)


class DriverRoutes(RegisterRoutes):
    """Who drives."""


class TruckRoutes(RegisterRoutes):
    """What is driven."""


class CustomerRoutes(RegisterRoutes):
    """Who is delivered to."""


@dataclass(frozen=True, slots=True)
class DirectoryRoutes:
    """All of them."""

    directory: Directory

    def routes(self) -> list[Route]:
        drivers = DriverRoutes(
            self.directory.drivers, "/api/v1/drivers", "driver_id", wire.Driver, wire.NewDriver, wire.DriverChange,
            WATCHERS, DriverNotFound, written=(MemberNotFound, MemberDrivesAlready), archived=(DriverOnTheRoad,),
        )  # fmt: skip
        trucks = TruckRoutes(
            self.directory.trucks, "/api/v1/trucks", "truck_id", wire.Truck, wire.NewTruck, wire.TruckChange,
            WATCHERS, TruckNotFound, archived=(TruckOnTheRoad,),
        )  # fmt: skip
        customers = CustomerRoutes(
            self.directory.customers, "/api/v1/customers", "customer_id", wire.Customer, wire.NewCustomer,
            wire.CustomerChange, BOOKKEEPERS, CustomerNotFound,
        )  # fmt: skip
        return [*drivers.routes(), *trucks.routes(), *customers.routes()]
