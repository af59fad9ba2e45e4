"""A crowd that watches one trip and leaves it at once."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from uuid import UUID

from tests.fakes.clock import FakeClock
from waypost.kernel.principal import Principal, Role
from waypost.platform.redis import open_bus_redis
from waypost.realtime.presence import Presence
from waypost.realtime.presence_store import WatcherStore
from waypost.realtime.service import trip_room
from waypost.realtime.shards import Shards

ORG = UUID(int=1)
ROOM = trip_room(ORG, UUID(int=2))
CROWD = 300


class Compared(UUID):
    """Counts with how many others it was compared."""

    times = 0

    def __eq__(self, other: object) -> bool:
        Compared.times += 1
        return super().__eq__(other)

    __hash__ = UUID.__hash__


async def nobody(_org_id: UUID, _users: Collection[UUID]) -> Mapping[UUID, str]:
    return {}


async def test_leaving_looks_at_nobody_who_stays():
    redis = open_bus_redis("redis://127.0.0.1:1")  # nobody is asked
    presence = Presence(WatcherStore(Shards(redis)), nobody, FakeClock())
    for tab in range(2):
        for n in range(CROWD):
            presence.entered(ROOM, f"{n}-{tab}", Principal(ORG, Role.VIEWER, user_id=Compared(int=n)))
    Compared.times = 0
    for tab in range(2):
        assert len(presence.rooms[ROOM].tabs) == CROWD
        for n in range(CROWD):
            presence.left(ROOM, f"{n}-{tab}")
    assert Compared.times <= 10 * CROWD, "in proportion, where a look at all would be a hundred times that"
    assert not presence.rooms[ROOM].tabs
    assert not presence.rooms[ROOM].people
    await redis.aclose()
