"""Are the things that somebody names there, and still in use?"""

from __future__ import annotations

from uuid import UUID

from waypost.directory import storage
from waypost.directory.domain import CustomerNotFound, DriverNotFound, TruckNotFound
from waypost.platform.database import Connection


async def check_exist(
    conn: Connection,
    org_id: UUID,
    *,
    driver_id: UUID | None = None,
    truck_id: UUID | None = None,
    customer_id: UUID | None = None,
) -> None:
    """Raise the leaf for the first that is named but is not this organisation's, or is archived.

    Those that are found cannot be archived before the caller's transaction has ended.
    """
    found = await storage.archived(conn, org_id, driver_id, truck_id, customer_id)
    named = (("driver", driver_id, DriverNotFound), ("truck", truck_id, TruckNotFound),
             ("customer", customer_id, CustomerNotFound))  # fmt: skip
    for (word, wanted, missing), is_archived in zip(named, found, strict=True):
        if wanted is not None and is_archived is not False:
            raise missing(f"This {word} is archived; choose another." if is_archived else None)


async def is_driver_in_use(conn: Connection, org_id: UUID, driver_id: UUID) -> bool:
    """Not archived, and not to be before the caller's transaction has ended."""
    is_archived, _, _ = await storage.archived(conn, org_id, driver_id, None, None)
    return is_archived is False
