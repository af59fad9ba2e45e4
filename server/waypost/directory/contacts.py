"""How a customer is reached: the port of those who tell them something."""

from __future__ import annotations

from uuid import UUID

from waypost.directory import storage
from waypost.notifications.domain import Contact
from waypost.platform.database import Connection


async def contact(conn: Connection, org_id: UUID, customer_id: UUID) -> Contact | None:
    """The customer's name and addresses as they are now; None when there is no such customer."""
    return await storage.contact(conn, org_id, customer_id)
