"""What the bus does inside Redis: a script that numbers, keeps and publishes events, and one that reads them again.

Both hold the run of the server that they were made for in their text. A server that comes back, perhaps with an older
copy of its data, does not know them any more, so nobody goes on with a counter without asking whose it is: an epoch
ends with the server that counted it. The room's log goes with its epoch.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any, Final, NamedTuple

import msgpack

from waypost.realtime.events import Event, Outgoing, Place

PARTITIONS: Final = 128  # of which each is a slot of a cluster, so that what belongs to a room lies together
CALL_ROOMS = 64
CALL_EVENTS = 64
CALL_BYTES = 256 * 1024  # a script keeps everybody else waiting: so much in one at most, or one event

# One packed argument: a client spends as much on each of them as on the whole.
_ROOM: Final = """
local call, pack = redis.call, cmsgpack.pack
local function place(meta, log, new, life)
    local e, s, r, b = unpack(call('HMGET', meta, 'e', 's', 'r', 'b'))
    if not e or r ~= '%(run)s' then
        e, s, b = new, 0, 0
        call('HSET', meta, 'e', e, 's', 0, 'r', '%(run)s', 'b', 0)
        call('DEL', log)
    end
    call('EXPIRE', meta, life)
    return e, tonumber(s), tonumber(b or 0)
end
"""
# KEYS: counter and log of each room. For each room: its channel and its events, each {numbers to leave out, the key
# under which a repeat is known or '', the packed event}. An event whose key is known is not counted: 0. The second half
# of an entry's id in the log is how many bytes the room was told before it in this epoch: what the log holds is the
# difference to the oldest. A log that holds too many loses its older half; its newest event stays, however large.
_PUBLISH: Final = f"""{_ROOM}
local new, life, log_life, log_length, log_bytes, key_life, rooms = unpack(cmsgpack.unpack(ARGV[1]))
local answer = {{}}
for i, room in ipairs(rooms) do
    local meta, log, channel = KEYS[2 * i - 1], KEYS[2 * i], room[1]
    local e, s, b = place(meta, log, new, life)
    local numbers, before = {{}}, s
    for j, event in ipairs(room[2]) do
        if event[2] == '' or call('SET', event[2], '', 'NX', 'EX', key_life) then
            s = s + 1 + event[1]
            numbers[j] = s
        else
            numbers[j] = 0
        end
    end
    if s > before then
        for j, event in ipairs(room[2]) do
            if numbers[j] > 0 then
                if event[1] > 0 then call('DEL', log) end
                local packed = '\\147' .. pack(e) .. pack(numbers[j]) .. event[3]
                call('XADD', log, 'MAXLEN', '~', log_length, ('%%d-%%.0f'):format(numbers[j], b), 'd', packed)
                b = b + #packed
                call('SPUBLISH', channel, packed)
            end
        end
        call('HSET', meta, 's', s, 'b', ('%%.0f'):format(b))
        call('EXPIRE', log, log_life)
        local length = call('XLEN', log)
        while length > 1 and b - tonumber(call('XRANGE', log, '-', '+', 'COUNT', 1)[1][1]:match('%%d+$')) > log_bytes do
            length = math.floor(length / 2)
            call('XTRIM', log, 'MAXLEN', length)
        end
    end
    answer[i] = {{e, numbers}}
end
return answer
"""
# KEYS: as above. For each room a place: what came after it, unless that is another epoch's; at most the last ``limit``.
_READ: Final = f"""{_ROOM}
local new, life, limit, places = unpack(cmsgpack.unpack(ARGV[1]))
local answer = {{}}
for i, since in ipairs(places) do
    local e, s = place(KEYS[2 * i - 1], KEYS[2 * i], new, life)
    local found = {{}}
    if since[1] == e and s > since[2] and limit > 0 then
        found = call('XRANGE', KEYS[2 * i], math.max(since[2], s - limit) + 1, '+')
        for j, entry in ipairs(found) do found[j] = entry[2][2] end
    end
    answer[i] = {{e, s, found}}
end
return answer
"""

_pack: Final = msgpack.Packer(use_bin_type=False).pack  # the scripts know text only


class Unreadable(ValueError):
    """What came off the bus is no event of ours."""


class Lives(NamedTuple):
    """How long and how much Redis keeps."""

    counter_s: int
    log_s: int
    log_events: int
    log_bytes: int
    key_s: int


class Call(NamedTuple):
    """One call of a script; ``place`` of the name is 0 (publish) or 1 (read)."""

    script: int
    keys: list[str]
    packed: bytes


class Publish(NamedTuple):
    """A call that publishes, and what it publishes, room by room."""

    call: Call
    rooms: list[list[Outgoing]]


def texts(run_id: str) -> tuple[str, str]:
    """Both scripts for one life of a server."""
    if re.fullmatch("[0-9a-zA-Z]{1,64}", run_id) is None:
        raise Unreadable("no run_id")
    return _PUBLISH % {"run": run_id}, _READ % {"run": run_id}


def partition_of(room: str) -> int:
    return zlib.crc32(room.encode()) % PARTITIONS


def tag(partition: int) -> str:
    """What all names of a partition begin with; the braces choose the slot."""
    return f"waypost:{{p{partition}}}"


def channel_of(room: str) -> str:
    return f"{tag(partition_of(room))}:{room}"


def keys_of(room: str) -> tuple[str, str]:
    """A room's counter and its log."""
    begin = tag(partition_of(room))
    return f"{begin}:m:{room}", f"{begin}:l:{room}"


def publish_calls(events: Sequence[Outgoing], new_epoch: str, lives: Lives) -> Iterator[Publish]:
    """As few calls as their bounds allow; the events of each room in their order."""
    for part in _parts(events):
        rooms: dict[str, list[Outgoing]] = {}
        for event in part:
            rooms.setdefault(event.room, []).append(event)
        told = [(channel_of(room), [_told(event) for event in of_room]) for room, of_room in rooms.items()]
        packed = _pack((new_epoch, lives.counter_s, lives.log_s, lives.log_events, lives.log_bytes, lives.key_s, told))
        yield Publish(Call(0, [key for room in rooms for key in keys_of(room)], packed), list(rooms.values()))


def _parts(events: Sequence[Outgoing]) -> Iterator[Sequence[Outgoing]]:
    start, size = 0, 0
    for at, event in enumerate(events):
        own = len(event.head) + sum(map(len, event.attachments))
        if at > start and (at - start >= CALL_EVENTS or size + own > CALL_BYTES):
            yield events[start:at]
            start, size = at, 0
        size += own
    if start < len(events):
        yield events[start:]


def _told(event: Outgoing) -> tuple[int, str, bytes]:
    key = "" if event.key is None else f"{tag(partition_of(event.room))}:k:{event.room}:{event.key}"
    return event.skip, key, _pack((event.name, event.head, *event.attachments))


def read_call(since: Sequence[tuple[str, Place | None]], new_epoch: str, counter_s: int, limit: int) -> Call:
    """Where these rooms stand, and what came after those places, of each the last ``limit`` events. No place: none."""
    places = [place or ("", 0) for _, place in since]
    return Call(1, [key for room, _ in since for key in keys_of(room)], _pack((new_epoch, counter_s, limit, places)))


def unpacked(room: str, data: bytes) -> Event:
    """An event as the script packed it. ``Unreadable`` if it is none."""
    try:
        epoch, seq, (name, head, *attachments) = msgpack.unpackb(data, raw=True)
        sent = Outgoing(room, name.decode(), head, tuple(attachments))
        return Event(sent, Place(epoch.decode(), int(seq)))
    except (ValueError, TypeError, AttributeError, msgpack.UnpackException) as error:
        raise Unreadable(f"{len(data)} bytes") from error


def read(room: str, answer: Any) -> tuple[Place, list[Event]]:
    """One room's part of what the read script answers. An event that cannot be read is missing, as any other may be."""
    events = []
    for packed in answer[2]:
        with suppress(Unreadable):
            events.append(unpacked(room, packed))
    return Place(answer[0].decode(), int(answer[1])), events
