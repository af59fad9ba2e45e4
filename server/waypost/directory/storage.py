"""SQL of drivers, trucks and customers: three registers of one form. Devices have ``storage_devices``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar
from uuid import UUID

from waypost.directory.domain import Customer, Driver, Entry, Truck, Wanted
from waypost.notifications.addresses import Contact
from waypost.platform.database import Connection

T = TypeVar("T", bound=Entry)


@dataclass(frozen=True, slots=True)
class Table(Generic[T]):
    """One register. ``columns``: what people write into it; ``searched``: those that a search looks at."""

    name: str
    kind: type[T]
    columns: Sequence[str]
    searched: Sequence[str]

    @property
    def find(self) -> str:
        return f"{self._select} WHERE org_id = $1 AND id = $2"

    @property
    def lock(self) -> str:
        """Who names the row in theirs (a key's share) is not held up."""
        return f"{self.find} FOR NO KEY UPDATE"

    @property
    def rows(self) -> str:
        text = " || ' ' || ".join(f"coalesce({column}, '')" for column in self.searched)
        return f"""{self._select}
 WHERE org_id = $1 AND ($2::uuid IS NULL OR id > $2) AND (archived_at IS NOT NULL) = $3
   AND ($4::text IS NULL OR position(lower($4) IN lower({text})) > 0)
 ORDER BY id LIMIT $5"""

    @property
    def add(self) -> str:
        values = ", ".join(f"${number}" for number in range(4, 4 + len(self.columns)))
        return (
            f"INSERT INTO {self.name} (org_id, id, created_at, {', '.join(self.columns)})"  # noqa: S608 - no input
            f" VALUES ($1, $2, $3, {values})"
        )

    @property
    def change(self) -> str:
        sets = ", ".join(f"{column} = ${number}" for number, column in enumerate(self.columns, start=3))
        return f"UPDATE {self.name} SET {sets}, version = version + 1 WHERE org_id = $1 AND id = $2"  # noqa: S608

    @property
    def archive(self) -> str:
        return f"UPDATE {self.name} SET archived_at = $3, version = version + 1 WHERE org_id = $1 AND id = $2"  # noqa: S608

    @property
    def _select(self) -> str:
        return f"SELECT id, {', '.join(self.columns)}, created_at, archived_at, version FROM {self.name}"  # noqa: S608


DRIVERS = Table("drivers", Driver, ("name", "phone", "user_id"), ("name",))
TRUCKS = Table("trucks", Truck, ("name", "plate"), ("name", "plate"))
CUSTOMERS = Table("customers", Customer, ("name", "phone", "email", "locale", "time_zone"), ("name", "phone", "email"))

# In the open, so that the test that prepares every statement sees them.
FIND_DRIVER, LIST_DRIVERS, ADD_DRIVER = DRIVERS.find, DRIVERS.rows, DRIVERS.add
LOCK_DRIVER, CHANGE_DRIVER, ARCHIVE_DRIVER = DRIVERS.lock, DRIVERS.change, DRIVERS.archive
FIND_TRUCK, LIST_TRUCKS, ADD_TRUCK = TRUCKS.find, TRUCKS.rows, TRUCKS.add
LOCK_TRUCK, CHANGE_TRUCK, ARCHIVE_TRUCK = TRUCKS.lock, TRUCKS.change, TRUCKS.archive
FIND_CUSTOMER, LIST_CUSTOMERS, ADD_CUSTOMER = CUSTOMERS.find, CUSTOMERS.rows, CUSTOMERS.add
LOCK_CUSTOMER, CHANGE_CUSTOMER, ARCHIVE_CUSTOMER = CUSTOMERS.lock, CUSTOMERS.change, CUSTOMERS.archive

# Null: there is none of that id. The share lock keeps it from being archived before we have used it.
ARCHIVED = """
SELECT (SELECT archived_at IS NOT NULL FROM drivers WHERE org_id = $1 AND id = $2 FOR SHARE) AS driver,
       (SELECT archived_at IS NOT NULL FROM trucks WHERE org_id = $1 AND id = $3 FOR SHARE) AS truck,
       (SELECT archived_at IS NOT NULL FROM customers WHERE org_id = $1 AND id = $4 FOR SHARE) AS customer
"""
IS_DRIVER_RUNNING = "SELECT EXISTS (SELECT FROM trips WHERE org_id = $1 AND driver_id = $2 AND status = 'started')"
IS_TRUCK_RUNNING = "SELECT EXISTS (SELECT FROM trips WHERE org_id = $1 AND truck_id = $2 AND status = 'started')"
UNLINK_DRIVER = "UPDATE drivers SET user_id = NULL WHERE org_id = $1 AND id = $2"
CONTACTS = """
SELECT c.org_id, c.id, c.name, coalesce(s.said ->> 'shopName', o.name) AS business, c.phone, c.email,
       coalesce(c.locale, s.said ->> 'locale') AS locale, s.said ->> 'shopPhone' AS shop_phone,
       s.said ->> 'shopAddress' AS shop_address, s.said ->> 'collectionPlace' AS collection_place,
       c.time_zone, o.settings ->> 'timeZone' AS org_time_zone, s.said ->> 'country' AS country
  FROM unnest($1::uuid[], $2::uuid[]) AS w (org_id, id)
  JOIN customers c ON c.org_id = w.org_id AND c.id = w.id
  JOIN organisations o ON o.org_id = c.org_id,
       LATERAL (SELECT o.settings -> 'selling' AS said) s
"""


async def find(conn: Connection, table: Table[T], org_id: UUID, entry_id: UUID, *, lock: bool = False) -> T | None:
    """One entry, archived or not. ``lock``: until the transaction's end."""
    row = await conn.fetchrow(table.lock if lock else table.find, org_id, entry_id)
    return table.kind(**dict(row)) if row else None


async def rows(
    conn: Connection, table: Table[T], org_id: UUID, wanted: Wanted, after: UUID | None, limit: int
) -> list[T]:
    """Entries by id, ``limit + 1`` of them."""
    found = await conn.fetch(table.rows, org_id, after, wanted.archived, wanted.text, limit + 1)
    return [table.kind(**dict(row)) for row in found]


async def add(
    conn: Connection, table: Table[T], org_id: UUID, entry_id: UUID, values: Mapping[str, object], now: datetime
) -> None:
    """``values``: by column; what is left out is null."""
    await conn.execute(table.add, org_id, entry_id, now, *(values.get(column) for column in table.columns))


async def change(conn: Connection, table: Table[T], org_id: UUID, entry_id: UUID, values: Mapping[str, object]) -> None:
    """Every column of a locked entry."""
    await conn.execute(table.change, org_id, entry_id, *(values[column] for column in table.columns))


async def archive(conn: Connection, table: Table[T], org_id: UUID, entry_id: UUID, now: datetime) -> None:
    """Of a locked entry."""
    await conn.execute(table.archive, org_id, entry_id, now)


async def archived(
    conn: Connection, org_id: UUID, driver_id: UUID | None, truck_id: UUID | None, customer_id: UUID | None
) -> tuple[bool | None, bool | None, bool | None]:
    """Is the driver, truck, customer archived? None: there is none of that id."""
    row = await conn.fetchrow(ARCHIVED, org_id, driver_id, truck_id, customer_id)
    return (row["driver"], row["truck"], row["customer"]) if row else (None, None, None)


async def is_driver_running(conn: Connection, org_id: UUID, driver_id: UUID) -> bool:
    """Is a trip of theirs on the road?"""
    return bool(await conn.fetchval(IS_DRIVER_RUNNING, org_id, driver_id))


async def is_truck_running(conn: Connection, org_id: UUID, truck_id: UUID) -> bool:
    """Is a trip with it on the road?"""
    return bool(await conn.fetchval(IS_TRUCK_RUNNING, org_id, truck_id))


async def unlink_driver(conn: Connection, org_id: UUID, driver_id: UUID) -> None:
    """The driver's member may be linked to another."""
    await conn.execute(UNLINK_DRIVER, org_id, driver_id)


async def contacts(conn: Connection, wanted: Sequence[tuple[UUID, UUID]]) -> dict[tuple[UUID, UUID], Contact]:
    """How customers (organisation and id) are reached now, and by whom; who is not there is left out."""
    rows = await conn.fetch(CONTACTS, [org for org, _ in wanted], [customer for _, customer in wanted])
    return {(row["org_id"], row["id"]): Contact(**dict(list(row.items())[2:])) for row in rows}
