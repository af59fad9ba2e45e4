"""What drivers' own apps send, in batches of any size: stored, set aside or kept with a reason, and then answered."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final, Self
from uuid import UUID

import msgspec

from waypost.identity.domain import TrackingLimits
from waypost.kernel.clock import Clock
from waypost.kernel.errors import Unavailable
from waypost.kernel.principal import Principal
from waypost.tracking.domain import Reason, Report, moment, ms_of
from waypost.tracking.protocols.records import Fault, Found, Heard, Read
from waypost.tracking.quality import Quality
from waypost.tracking.rejections import Rejection
from waypost.tracking.service import OnlyDevices, Tracking
from waypost.tracking.shares import DeviceShares

A_CALL: Final = 1000


@dataclass(slots=True)
class Taken:
    """What became of a request's records so far, and the last signs of life among them."""

    accepted: int = 0
    duplicates: int = 0
    rejected: int = 0
    heard: Heard | None = None
    battery_pct: float | None = None

    @property
    def settled(self) -> int:
        """So many need not be sent again."""
        return self.accepted + self.duplicates + self.rejected


@dataclass(slots=True)
class Batch:
    """Records that go to the database together."""

    reports: list[Report] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)


class CountedAlready(DeviceShares):
    """For the calls that one request becomes: it was counted whole, or its end would be refused for its beginning."""

    def spend(self, device_id: UUID, fixes: int, limits: TrackingLimits, *, requests: int = 1) -> None:
        """Nothing."""

    def give_back(self, device_id: UUID, fixes: int) -> None:
        """Nothing."""


@dataclass(frozen=True, slots=True)
class AppReports:
    """Takes what an adapter has found in a request. ``tracking``: with shares that are ``CountedAlready``."""

    tracking: Tracking
    shares: DeviceShares
    quality: Quality
    clock: Clock

    @classmethod
    def over(cls, tracking: Tracking) -> Self:
        uncounted = replace(tracking, shares=CountedAlready(tracking.clock))
        return cls(uncounted, tracking.shares, tracking.quality, tracking.clock)

    async def take(self, principal: Principal, read: Read, source: str) -> Taken:
        """Store all of it; returns once everything has committed (P1). May be repeated (P2).

        Whatever it raises, the app is to send the whole again: what was stored meanwhile counts as duplicates then.
        ``OnlyDevices``, ``DeviceTooFast``, ``Overloaded``.
        """
        if principal.device_id is None:
            raise OnlyDevices
        limits = (await self.tracking.rules.of(principal.org_id)).tracking
        self.shares.spend(principal.device_id, read.records, limits)
        device, taken = (principal.org_id, principal.device_id), Taken()
        # One moment for all that is refused, before anything is stored: a bad record beside good ones is no silence.
        now = moment(ms_of(self.clock.now()))
        try:
            for found in (read.first, read.found):
                for batch in _batches(found, taken):
                    await self._store(principal, batch, source, now, taken)
        except Unavailable:
            self.shares.give_back(principal.device_id, read.records - taken.settled)
            raise
        if (heard := taken.heard) is not None:
            self.quality.heard(*device, self.clock.now(), taken.battery_pct, heard.signal, source=source)
        return taken

    async def _store(self, principal: Principal, batch: Batch, source: str, now: datetime, taken: Taken) -> None:
        if batch.reports:
            reported = await self.tracking.report(principal, batch.reports, source=source)
            taken.accepted += reported.accepted
            taken.duplicates += reported.duplicates
            taken.rejected += len(reported.rejected)
        if batch.faults and principal.device_id is not None:
            device = principal.org_id, principal.device_id
            kept = [Rejection(*device, now, source, Reason.MALFORMED, one.why, one.raw) for one in batch.faults]
            await self.quality.refuse(kept)
            taken.rejected += len(kept)


def _batches(found: Iterable[Found], taken: Taken) -> Iterator[Batch]:
    """A thousand records at a time; signs of life are only noted: the last one, as long as no location follows it."""
    batch = Batch()
    for one in found:
        if isinstance(one, Heard):
            taken.heard = one
            taken.battery_pct = one.battery_pct if one.battery_pct is not None else taken.battery_pct
            continue
        if isinstance(one, Report):
            taken.heard = None
            batch.reports.append(msgspec.structs.replace(one, index=len(batch.reports)))
        else:
            batch.faults.append(one)
        if len(batch.reports) + len(batch.faults) == A_CALL:
            yield batch
            batch = Batch()
    if batch.reports or batch.faults:
        yield batch
