"""Joining events of which only the newest counts, so that who is behind gets few instead of many.

What is joined says ``from``: the first number that it stands for. Two events are joined only if nothing of the room
lies between them, neither an event that must not be skipped nor a number that is missing: a gap stays one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from waypost.realtime.events import Event, Place, outgoing

_PLACE = frozenset({"epoch", "seq", "from"})


def can_join(before: Event, after: Event) -> bool:
    """May one event stand for both?"""
    return (
        before.name == after.name
        and before.is_latest
        and before.epoch == after.epoch
        and before.seq + 1 == after.first
        and before.room == after.room
    )


def joined(events: Sequence[Event]) -> Event:
    """One event for several of which each may be joined to the next; the newest position of each vehicle, or of the
    trip, whatever order they came in.
    """
    last = events[-1]
    if len(events) == 1:
        return last
    if last.name == "fleet:positions":
        told: dict[str, Any] = {"positions": _newest_of_each([event.body["positions"] for event in events])}
    else:
        told = _newest_of_trip([event.body for event in events])
    return refilled(last, told, first=events[0].first)


def _newest_of_each(told: Sequence[Sequence[dict[str, Any]]]) -> list[dict[str, Any]]:
    newest: dict[str, dict[str, Any]] = {}
    for positions in told:
        for position in positions:
            before = newest.get(position["vehicleId"])
            if before is None or replaces(position, before["recordedAt"]):
                newest[position["vehicleId"]] = _still_taking_back(position, before)
    return list(newest.values())


def replaces(position: Mapping[str, Any], told_at: str) -> bool:
    """Is it newer than what was told (``""``: nothing), or does it take that back, and whatever else was told since its
    own time? Times are of one form: text compares as time does.
    """
    return bool(position["recordedAt"] > told_at or told_at <= position.get("withdrawn", ""))


def _still_taking_back(position: dict[str, Any], before: dict[str, Any] | None) -> dict[str, Any]:
    """What its predecessor took back from the members stays taken back, unless this is newer than that."""
    taken = before.get("withdrawn") if before is not None else None
    if taken is None or position["recordedAt"] > taken or position.get("withdrawn", "") >= taken:
        return position
    return {**position, "withdrawn": taken}


def _newest_of_trip(bodies: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The newest location, and every time that was withdrawn; what was withdrawn is no location any more."""
    withdrawn = list(dict.fromkeys(at for body in bodies for at in body.get("withdrawn", ())))
    gone = set(withdrawn)
    standing = [each for body in bodies for each in body["locations"] if each["recordedAt"] not in gone]
    found: dict[str, Any] = {"locations": [max(standing, key=_recorded_at)] if standing else []}
    return found | ({"withdrawn": withdrawn} if withdrawn else {})


def _recorded_at(location: dict[str, Any]) -> str:
    return str(location["recordedAt"])


def joined_or_each(events: list[Event]) -> list[Event]:
    """One for all; or all of them, if one is of no form that can be joined: then nothing is lost either."""
    try:
        return [joined(events)]
    except (KeyError, TypeError, ValueError, IndexError):
        return events


def refilled(event: Event, changed: dict[str, Any], *, first: int | None = None) -> Event:
    """The same event, at the same place, saying something else; ``first`` None: it stands for what it stood for."""
    told = {name: value for name, value in event.body.items() if name not in _PLACE} | changed
    return Event(
        outgoing(event.room, event.name, told),
        Place(event.epoch, event.seq),
        first=event.first if first is None else first,
    )
