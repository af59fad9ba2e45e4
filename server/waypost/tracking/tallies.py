"""What is counted of each device between two writings: pure, and cheap enough for every batch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TypeAlias
from uuid import UUID

from waypost.tracking.domain import DOUBTFUL, Flag, flag_names

_DOUBTS = int(DOUBTFUL)  # plain numbers: an IntFlag's own operators are slow

Device: TypeAlias = tuple[UUID, UUID]  # organisation, device
MAX_DEVICES = 50_000  # that wait to be written; about 1.5 KB each


@dataclass(slots=True)
class Noted:
    """A batch that was committed, or refused whole. Not frozen: one is made for every batch.

    ``accepted`` were stored; ``flags``: those of each stored fix that has any; ``rejected``: one for each refused fix.
    ``newest_at``, ``oldest_at``: the stored fixes' own (repaired) times, None without any; ``delay_sum_s``: the sum of
    ``received_at`` less those times; ``accuracy_sum_m`` over the ``accuracy_n`` stored fixes that have one;
    ``battery_pct``: the newest fix's; ``clock_offset_ms``: how far the device's clock is ahead of ours, where known;
    ``ahead_s``: how far ahead of us the newest fix was that was refused as ``future``.
    """

    org_id: UUID
    device_id: UUID
    received_at: datetime
    source: str = "api"
    accepted: int = 0
    duplicates: int = 0
    late: int = 0
    rejected: Sequence[str] = ()  # reasons
    flags: Sequence[int] = ()
    newest_at: datetime | None = None
    oldest_at: datetime | None = None
    delay_sum_s: float = 0.0
    accuracy_sum_m: float = 0.0
    accuracy_n: int = 0
    battery_pct: float | None = None
    clock_offset_ms: int | None = None
    ahead_s: float | None = None


@dataclass(slots=True)
class Facts:
    """The newest that is known of a device; None: nothing new. As the columns of ``device_quality``."""

    source: str
    heard_at: datetime
    heard: int = 0  # so many times
    stored_at: datetime | None = None
    doubts: int = 0
    fix_at: datetime | None = None
    delay_s: float | None = None
    accuracy_m: float | None = None
    battery_pct: float | None = None
    battery_at: datetime | None = None
    clock_offset_ms: int | None = None
    reason: str | None = None
    rejected_at: datetime | None = None
    ahead_s: float | None = None
    signal: str | None = None
    signal_at: datetime | None = None

    def note(self, noted: Noted) -> None:
        """A batch, which came after those before."""
        self.hear(noted.received_at, noted.source)
        if noted.accepted:
            self.stored_at = noted.received_at
        newest_at = noted.newest_at
        if noted.accepted and newest_at is not None and (self.fix_at is None or newest_at >= self.fix_at):  # no backlog
            self.fix_at, self.doubts = newest_at, _shared_doubts(noted)
            self.delay_s = (noted.received_at - newest_at).total_seconds()
            if noted.accuracy_n:
                self.accuracy_m = noted.accuracy_sum_m / noted.accuracy_n
        if noted.battery_pct is not None:
            self.note_battery(noted.battery_pct, min(newest_at or noted.received_at, noted.received_at))
        if noted.clock_offset_ms is not None:
            self.clock_offset_ms = noted.clock_offset_ms
        if noted.rejected:
            self.reason, self.rejected_at = str(noted.rejected[-1]), noted.received_at
            self.ahead_s = noted.ahead_s

    def hear(self, at: datetime, source: str) -> None:
        """Anything at all."""
        self.heard += 1
        self.source = source
        self.heard_at = max(self.heard_at, at)

    def note_battery(self, percent: float, at: datetime) -> None:
        """As it was at that moment: of a backlog long ago."""
        if self.battery_at is None or at >= self.battery_at:
            self.battery_pct, self.battery_at = percent, at


@dataclass(slots=True)
class Day:
    """A device's counters of a day; None: nothing new. As the columns of ``device_quality_days``."""

    batches: int = 0
    accepted: int = 0
    duplicates: int = 0
    late: int = 0
    flagged: int = 0
    rejected: int = 0
    accuracy_sum_m: float = 0.0
    accuracy_n: int = 0
    delay_sum_s: float = 0.0
    delay_max_s: float = 0.0
    battery_min_pct: float | None = None
    battery_pct: float | None = None
    clock_offset_ms: int | None = None
    flags: dict[int, int] = field(default_factory=dict)  # a Counter takes ten times as long to make
    reasons: dict[str, int] = field(default_factory=dict)

    def note(self, noted: Noted) -> None:
        self.batches += 1
        self.accepted += noted.accepted
        self.duplicates += noted.duplicates
        self.late += noted.late
        self.accuracy_sum_m += noted.accuracy_sum_m
        self.accuracy_n += noted.accuracy_n
        self.delay_sum_s += noted.delay_sum_s
        if noted.oldest_at is not None:
            self.delay_max_s = max(self.delay_max_s, (noted.received_at - noted.oldest_at).total_seconds())
        if noted.battery_pct is not None:
            self.note_battery(noted.battery_pct)
        if noted.clock_offset_ms is not None:
            self.clock_offset_ms = noted.clock_offset_ms
        if noted.flags:
            self.flagged += len(noted.flags)
            for flags in noted.flags:
                self.flags[flags] = self.flags.get(flags, 0) + 1
        if noted.rejected:
            self.rejected += len(noted.rejected)
            for reason in noted.rejected:
                self.reasons[reason] = self.reasons.get(reason, 0) + 1

    def note_battery(self, percent: float) -> None:
        self.battery_pct = percent
        self.battery_min_pct = percent if self.battery_min_pct is None else min(self.battery_min_pct, percent)

    def counts(self) -> dict[tuple[str, str], int]:
        """(kind, name) and how many: a fix with two flags counts with each."""
        counted: Counter[tuple[str, str]] = Counter()
        for flags, count in self.flags.items():
            for name in flag_names(Flag(flags)):
                counted["flag", name] += count
        for reason, count in self.reasons.items():
            counted["reason", str(reason)] += count
        return dict(counted)


@dataclass(slots=True)
class Tally:
    """What waits to be written of one device."""

    facts: Facts
    days: dict[date, Day] = field(default_factory=dict)  # of receipt
    is_rejecting: bool = False

    def day(self, at: datetime) -> Day:
        date = at.date()
        day = self.days.get(date)
        if day is None:
            day = self.days[date] = Day()
        return day


@dataclass(slots=True)
class Tallies:
    """Everything that waits to be written. ``dropped``: what came from further devices than there is room for."""

    of: dict[Device, Tally] = field(default_factory=dict)
    limit: int = MAX_DEVICES
    dropped: int = 0

    def note(self, noted: Noted) -> None:
        """Add a batch. O(1), but for what is wrong in it."""
        tally = self._tally((noted.org_id, noted.device_id), noted.source, noted.received_at)
        if tally is not None:
            tally.facts.note(noted)
            tally.day(noted.received_at).note(noted)
            tally.is_rejecting = tally.is_rejecting or bool(noted.rejected)

    def heard(self, device: Device, at: datetime, battery_pct: float | None, signal: str | None, source: str) -> None:
        """A sign of life without a location."""
        tally = self._tally(device, source, at)
        if tally is None:
            return
        tally.facts.hear(at, source)
        if signal is not None:
            tally.facts.signal, tally.facts.signal_at = signal, at
        if battery_pct is not None:
            tally.facts.note_battery(battery_pct, at)
            tally.day(at).note_battery(battery_pct)

    def _tally(self, device: Device, source: str, at: datetime) -> Tally | None:
        tally = self.of.get(device)
        if tally is None:
            if len(self.of) >= self.limit:
                self.dropped += 1
                return None
            tally = self.of[device] = Tally(Facts(source, at))
        return tally

    def take_all(self) -> dict[Device, Tally]:
        """All of it; from here on it is counted anew."""
        taken, self.of = self.of, {}
        return taken


def _shared_doubts(noted: Noted) -> int:
    """What the stored fixes of a batch were doubted for, if every one of them was; else 0."""
    shared = doubtful = 0
    for flags in noted.flags:
        if doubts := flags & _DOUBTS:
            shared |= doubts
            doubtful += 1
    return shared if doubtful >= noted.accepted else 0
