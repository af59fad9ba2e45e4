"""What consent needs of others; wiring fills it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from uuid import UUID

from waypost.notifications.addresses import Contact

# A customer (organisation and id) as we reach them now; None: there is none. It may ask caches, so no transaction is
# held meanwhile.
FindCustomer = Callable[[UUID, UUID], Awaitable[Contact | None]]
