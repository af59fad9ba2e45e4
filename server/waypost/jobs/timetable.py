"""Pure rules of timed runs: when one is due in an organisation's time zone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import TypeAlias

EVERY_DAY = frozenset(range(7))


@dataclass(frozen=True, slots=True)
class Daily:
    """At a time of the day by the local clock, on some days of the week (0: Monday)."""

    at: time
    days: frozenset[int] = EVERY_DAY


@dataclass(frozen=True, slots=True)
class Every:
    """After each interval since the epoch, whatever the local clock says."""

    interval: timedelta


Schedule: TypeAlias = Daily | Every


def due_runs(schedule: Schedule, zone: tzinfo, last: datetime, now: datetime) -> Iterator[datetime]:
    """The moments, in UTC and in order, at which a run was due after ``last``, up to and with ``now``.

    A local time that a change of clocks leaves out is due when the clocks go on; one that comes twice is due the first
    time. So each day has one run, and any two spans that meet have all of them once.
    """
    if isinstance(schedule, Every):
        yield from _every(schedule.interval, last, now)
    else:
        yield from _daily(schedule, zone, last, now)


def _every(interval: timedelta, last: datetime, now: datetime) -> Iterator[datetime]:
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    moment = epoch + ((last - epoch) // interval + 1) * interval
    while moment <= now:
        yield moment
        moment += interval


def _daily(schedule: Daily, zone: tzinfo, last: datetime, now: datetime) -> Iterator[datetime]:
    # A day more at both ends: clocks that jump move a run into its neighbour, a whole day where a date was left out.
    day, end = last.astimezone(zone).date() - timedelta(days=2), now.astimezone(zone).date() + timedelta(days=1)
    previous = last
    while day <= end:
        if day.weekday() in schedule.days:
            moment = local_moment(day, schedule.at, zone)
            if previous < moment <= now:
                yield moment
                previous = moment
        day += timedelta(days=1)


def local_moment(day: date, at: time, zone: tzinfo) -> datetime:
    """The moment, in UTC, when the clocks of ``zone`` first show ``at`` on ``day``, or pass over it."""
    wall = datetime.combine(day, at.replace(tzinfo=None, fold=0))
    moment = wall.replace(tzinfo=zone).astimezone(UTC)
    if moment.astimezone(zone).replace(tzinfo=None, fold=0) == wall:
        return moment
    return _jump(wall.replace(tzinfo=zone, fold=1).astimezone(UTC), moment, zone)


def _jump(before: datetime, after: datetime, zone: tzinfo) -> datetime:
    """The second, within the span, at which the clocks go on: by halving it."""
    new_offset = after.astimezone(zone).utcoffset()
    while after - before > timedelta(seconds=1):
        middle = before + timedelta(seconds=(after - before) // timedelta(seconds=2))
        if middle.astimezone(zone).utcoffset() == new_offset:
            after = middle
        else:
            before = middle
    return after
