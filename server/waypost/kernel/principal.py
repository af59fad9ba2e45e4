"""Who asks: a person or a device, once authenticated. Every service method takes one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from waypost.kernel.errors import Denied


class Role(StrEnum):
    """What a member of an organisation may do."""

    OWNER = "owner"
    DISPATCHER = "dispatcher"
    ACCOUNTANT = "accountant"
    DRIVER = "driver"
    VIEWER = "viewer"


WATCHERS = frozenset({Role.OWNER, Role.DISPATCHER, Role.ACCOUNTANT, Role.VIEWER})
PLANNERS = frozenset({Role.OWNER, Role.DISPATCHER})
TELLERS = frozenset({Role.OWNER, Role.DISPATCHER, Role.ACCOUNTANT})  # take money and run laybys
MONEY = frozenset({Role.OWNER, Role.ACCOUNTANT})  # give money back, settle what is open, read the books


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated person or device of one organisation.

    ``user_id`` is set for people, ``device_id`` for devices. ``driver_id``: the driver this principal is or drives
    for, None for everybody else. ``session_id``: what opened the door, so that it can be closed: a person's sign-in; of
    a device the mark of its token; None for what acts without either (a command, a job).
    """

    org_id: UUID
    role: Role
    user_id: UUID | None = None
    device_id: UUID | None = None
    driver_id: UUID | None = None
    vehicle_id: UUID | None = None
    session_id: UUID | None = None

    def require(self, roles: frozenset[Role]) -> None:
        """Raise ``Denied`` unless this is a person with one of ``roles``."""
        if self.device_id is not None or self.role not in roles:
            raise Denied

    @property
    def watches_everything(self) -> bool:
        """Staff who see every trip of the organisation; a driver and a device see their own."""
        return self.device_id is None and self.role in WATCHERS


@dataclass(frozen=True, slots=True)
class Admitted:
    """Who a token speaks for, and until when; None: for as long as it is not withdrawn."""

    principal: Principal
    expires_at: datetime | None = None
