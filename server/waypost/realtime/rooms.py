"""Which connection is in which room, both ways, on this node."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class RoomIndex:
    """room -> connections and connection -> rooms; joined and left in O(1)."""

    members: dict[str, set[str]] = field(default_factory=dict)
    rooms: dict[str, set[str]] = field(default_factory=dict)

    def join(self, sid: str, room: str) -> None:
        self.members.setdefault(room, set()).add(sid)
        self.rooms.setdefault(sid, set()).add(room)

    def leave(self, sid: str, room: str) -> bool:
        """Take a connection out; True when the room is empty now."""
        members = self.members.get(room)
        if members is None or sid not in members:
            return False
        members.discard(sid)
        self.rooms[sid].discard(room)
        if not self.rooms[sid]:
            del self.rooms[sid]
        if members:
            return False
        del self.members[room]
        return True

    def forget(self, sid: str) -> list[str]:
        """A connection is gone: the rooms that are empty now."""
        empty = [room for room in list(self.rooms.get(sid, ())) if self.leave(sid, room)]
        self.rooms.pop(sid, None)
        return empty

    def is_live(self, room: str) -> bool:
        """Has the room a member here?"""
        return room in self.members

    def count(self, sid: str) -> int:
        """How many rooms a connection is in."""
        return len(self.rooms.get(sid, ()))


def nothing_said(room: str) -> tuple[str, dict[str, object]]:
    """An event that says nothing but where the room stands."""
    _, _, kind, *what = room.split(":")
    if kind == "fleet":
        return "fleet:positions", {"positions": []}
    if kind == "trip":
        return "trip:location", {"tripId": what[0], "locations": []}
    return "own:gap", {"room": "staff" if kind == "staff" else "person"}
