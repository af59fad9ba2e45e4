"""What goes through the group commit: batches, a device's share of a transaction, and what the transaction did."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias
from uuid import UUID

from waypost.identity.domain import TrackingLimits
from waypost.kernel.errors import AppError
from waypost.tracking.domain import UNFIT, Fix, Flag, Order, Rejected
from waypost.tracking.reporter import Reporter
from waypost.tracking.storage_ingest import Device
from waypost.tracking.trail import Stored, Trail

_CLOCK_SKEW = int(Flag.CLOCK_SKEW)


def _nothing(_index: int) -> bytes:
    return b""


TripKey: TypeAlias = tuple[UUID, UUID]  # organisation, trip


@dataclass(slots=True, eq=False)
class Batch:
    """What one device reported at once, screened; a try to book it fills in the second half.

    ``is_history``: an import, whose fixes are never live and say themselves whose they are. ``records``: the text of
    those rejected, by index.
    """

    reporter: Reporter
    received_ms: int
    limits: TrackingLimits
    screened: list[Fix]
    refused: list[Rejected]
    repeats: int = 0
    named: UUID | None = None
    stream: str = ""
    sent_ms: int | None = None
    source: str = "api"
    is_history: bool = False
    records: Callable[[int], bytes] = _nothing

    is_distrusted: bool = False  # what is kept of the device is not what is stored
    tries: int = 0
    fixes: list[Fix] = field(default_factory=list)  # those that may be new
    rejected: list[Rejected] = field(default_factory=list)
    stored: list[Fix] = field(default_factory=list)
    error: AppError | None = None
    latest_ms: int | None = None  # of the device, once this is stored
    offset_ms: int | None = None  # its clock against ours, as this batch shows it

    @property
    def device(self) -> Device:
        return self.reporter.org_id, self.reporter.device_id

    def begin(self) -> None:
        """Begin a try: nothing that an earlier one has found out counts."""
        if self.tries:
            for fix in self.screened:
                fix.flags = fix.flags & UNFIT | (_CLOCK_SKEW if fix.said_ms is not None else 0)
                if not self.is_history:
                    fix.trip_id = fix.destination_org_id = None
        self.tries += 1
        self.fixes, self.rejected, self.stored = self.screened, list(self.refused), []
        self.error = self.latest_ms = self.offset_ms = None


@dataclass(slots=True, eq=False)
class Work:
    """A device's batches of one transaction."""

    device: Device
    batches: list[Batch]
    newest_raw_ms: int | None
    trail: Trail
    is_known: bool  # is the trail what the stored fixes say?
    position_before: Order | None = None
    changed: list[tuple[Stored, int]] = field(default_factory=list)
    best: Fix | None = None  # the device's new position, if there is one
    is_reset: bool = False

    @property
    def received_ms(self) -> int:
        return self.batches[-1].received_ms


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """A trip of which verdicts have changed. ``times``: of its fixes that turned out to be jumps."""

    destination_org_id: UUID | None
    times: list[int]


@dataclass(frozen=True, slots=True)
class Booked:
    """What a transaction did, for who tells of it after the commit."""

    works: Sequence[Work]
    trips_moved: Collection[UUID]
    trips_reset: Mapping[TripKey, Fix | None]
    withdrawn: Mapping[TripKey, Withdrawn]
    vehicles: Mapping[UUID, tuple[str | None, datetime | None]]
