"""What one may take: a device of our time, an organisation of the waiting room. Counted in this process alone.

A mad phone meets its own limit long before it crowds out anybody; over two nodes it may have twice as much.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass, field
from uuid import UUID

from waypost.identity.domain import TrackingLimits
from waypost.kernel.clock import Clock
from waypost.kernel.errors import TooMany, Unavailable

REQUESTS_OVER_S = 10  # so long a device's requests are averaged
FIXES_OVER_S = 60  # and its fixes: the backlog of a tunnel comes at once
ROUNDING_S = 1e-6  # of sums of many tenths
LONGEST_S = 3600  # no device waits longer than that, however large its batch and low its allowance
OF_WHAT_IS_FREE = 4  # an organisation may take so many times the places that are free


class DeviceTooFast(TooMany):
    """The device sends more than its organisation allows; wait as long as `Retry-After` says, then go on."""

    code = "device-too-fast"


class Overloaded(Unavailable):
    """More locations wait to be stored than there is room for; none of these was kept. Send them again shortly."""

    code = "overloaded"


@dataclass(slots=True)
class Spent:
    """Until when a device's allowances are spent, by the monotonic clock; a moment that is past: not at all."""

    requests_until: float
    fixes_until: float
    requests_per_s: float = TrackingLimits().requests_per_s  # its organisation's, once it was heard
    fixes_per_s: float = TrackingLimits().fixes_per_s


@dataclass(frozen=True, slots=True)
class DeviceShares:
    """A leaky bucket for the requests and one for the fixes of each device that was heard of lately."""

    clock: Clock
    devices: OrderedDict[UUID, Spent] = field(default_factory=OrderedDict)

    def knock(self, device_id: UUID) -> None:
        """Count a request before anything of it is read: by the limits that were heard last. ``DeviceTooFast``."""
        now = self.clock.monotonic()
        spent = self._spent(device_id, now)
        spent.requests_until = _until(spent.requests_until, now, 1, spent.requests_per_s, REQUESTS_OVER_S, "requests")

    def spend(self, device_id: UUID, fixes: int, limits: TrackingLimits, *, requests: int = 1) -> None:
        """Count so many fixes, and the request unless it has knocked. ``DeviceTooFast``: then nothing was counted."""
        now = self.clock.monotonic()
        spent = self._spent(device_id, now)
        per_s = spent.requests_per_s = limits.requests_per_s
        requests_until = _until(spent.requests_until, now, requests, per_s, REQUESTS_OVER_S, "requests")
        fixes_until = _until(spent.fixes_until, now, fixes, limits.fixes_per_s, FIXES_OVER_S, "fixes")
        spent.requests_until, spent.fixes_until, spent.fixes_per_s = requests_until, fixes_until, limits.fixes_per_s

    def give_back(self, device_id: UUID, fixes: int) -> None:
        """So many that were counted were not stored, through no fault of the device: it will send them again."""
        spent = self.devices.get(device_id)
        if spent is not None and spent.fixes_per_s > 0:
            spent.fixes_until -= fixes / spent.fixes_per_s

    def _spent(self, device_id: UUID, now: float) -> Spent:
        self._forget_one(now)
        spent = self.devices.get(device_id)
        if spent is None:
            spent = self.devices[device_id] = Spent(now, now)
        return spent

    def _forget_one(self, now: float) -> None:
        """Each call looks at one device, in turns: so those that are silent go, and no call takes long."""
        if self.devices:
            device_id, spent = self.devices.popitem(last=False)
            if spent.requests_until > now or spent.fixes_until > now:
                self.devices[device_id] = spent


def _until(until: float, now: float, cost: int, per_s: float, over_s: int, what: str) -> float:
    """Until when it is spent after this. A batch above the whole allowance passes once nothing of it is spent."""
    if per_s <= 0:
        return now
    until = max(until, now)
    takes_s = cost / per_s
    wait_s = until + min(takes_s, over_s) - over_s - now
    if wait_s > ROUNDING_S:
        raise _too_fast(wait_s, per_s, over_s, what)
    return min(until + takes_s, now + LONGEST_S)


def _too_fast(wait_s: float, per_s: float, over_s: int, what: str) -> DeviceTooFast:
    whole_s = math.ceil(wait_s)
    headers = {
        "RateLimit-Limit": str(math.floor(per_s * over_s)),
        "RateLimit-Remaining": "0",
        "RateLimit-Reset": str(whole_s),
    }
    return DeviceTooFast(
        f"A device may send {per_s:g} {what} a second, averaged over {over_s} s; go on in {whole_s} s.",
        retry_after_s=whole_s,
        headers=headers,
        limit=f"device-{what}",
        limitPerSecond=per_s,
        retryAfter=whole_s,
    )


@dataclass(slots=True)
class WaitingRoom:
    """Places for what waits to be stored.

    An organisation may have a multiple of what is still free: alone four fifths of all, of two each four ninths. So
    there is always room for who has none yet (the dynamic threshold of Choudhury and Hahne, IEEE/ACM ToN 1998).
    """

    places: int
    taken: int = 0
    by_org: dict[UUID, int] = field(default_factory=dict)

    def enter(self, org_id: UUID, many: int) -> None:
        """Take so many places, to be given back by ``leave``. ``Overloaded``: none were taken."""
        own, free = self.by_org.get(org_id, 0) + many, self.places - self.taken - many
        if own > OF_WHAT_IS_FREE * free:
            raise Overloaded
        self.taken += many
        self.by_org[org_id] = own

    def leave(self, org_id: UUID, many: int) -> None:
        """Give them back."""
        self.taken -= many
        self.by_org[org_id] -= many
        if not self.by_org[org_id]:
            del self.by_org[org_id]

    @property
    def fullness(self) -> float:
        """From 0 to 1."""
        return self.taken / self.places
