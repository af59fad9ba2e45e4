"""Learned streets: counted by a timed run, shown as map tiles to the organisation's own people."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from waypost.kernel.clock import Clock
from waypost.kernel.errors import NotFound
from waypost.kernel.principal import WATCHERS, Principal
from waypost.platform.batches import in_batches
from waypost.platform.database import SYSTEM, Connection, Database
from waypost.platform.telemetry import log
from waypost.tracking import storage_streets as storage
from waypost.tracking import streets, tiles
from waypost.tracking.streets import Cell, Learner
from waypost.tracking.tiles import Tile

FIXES_A_STEP = 5000
LONGEST_STEP = 1_000_000  # receipts, where few of them have a fix that counts
# A receipt is given out a moment before its transaction has a number; how long one may take is the statements' limit.
SETTLES_S, GIVES_UP_S = 1.0, 90.0

PASSES_SHOWN = 2
CELLS_A_TILE = 16_000
# The level of cells for each zoom: about 900 of them across a tile at most.
LEVEL_OF_ZOOM = {8: 2, 9: 2, 10: 1, 11: 1, 12: 0, 13: 0, 14: 0}


class NoSuchTile(NotFound):
    """There are tiles of zoom 8 to 14 (`z`), with `x` and `y` from 0 to 2^z - 1."""

    code = "no-such-tile"


@dataclass(frozen=True, slots=True)
class StreetMap:
    """The streets that an organisation's vehicles have driven."""

    database: Database

    async def tile(self, principal: Principal, z: int, x: int, y: int) -> bytes:
        """A vector tile: points of the layer `streets` with a `rank` of 1 to 3. ``NoSuchTile``."""
        principal.require(WATCHERS)
        if z not in LEVEL_OF_ZOOM or not (0 <= x < 1 << z and 0 <= y < 1 << z):
            raise NoSuchTile
        tile, level = Tile(z, x, y), LEVEL_OF_ZOOM[z]
        west, south, east, north = tile.box_deg()
        async with self.database.transaction(principal.org_id) as conn:
            found = await storage.cells_of_tile(
                conn, principal.org_id, _cell(level, south, west), _cell(level, north, east), PASSES_SHOWN, CELLS_A_TILE
            )
        return drawn(tile, level, found)


@dataclass(frozen=True, slots=True)
class StreetUpkeep:
    """Learning and forgetting, for the workers. Safe to repeat, and from two workers at once."""

    database: Database
    clock: Clock
    settles_s: float = SETTLES_S

    async def learn(self) -> int:
        """Count what was received since the last run; how many fixes that were. Each step is kept by itself."""
        up_to = await self._settled()
        if up_to is not None:
            async with self.database.transaction(SYSTEM) as conn:
                await storage.sum_up(conn)
        learner, total, reach = Learner(), 0, FIXES_A_STEP
        while up_to is not None:
            async with self.database.transaction(SYSTEM) as conn:
                after = await storage.take_progress(conn)
                if after is None or after >= up_to:
                    return total
                end = min(after + reach, up_to)
                fixes = await storage.new_fixes(conn, after, end, FIXES_A_STEP)
                if len(fixes) == FIXES_A_STEP:
                    end, reach = fixes[-1].receipt, max(reach // 2, FIXES_A_STEP)
                else:
                    reach = min(reach * 2, LONGEST_STEP)
                for org_id, found in sorted(learner.learn(fixes).items()):
                    if found:
                        await storage.add_passes(conn, org_id, found)
                await storage.note_progress(conn, end)
            total += len(fixes)
        return total

    async def forget(self, org_id: UUID, older_than: timedelta) -> int:
        """Delete an organisation's cells that none of its vehicles has driven through for so long; how many."""
        before = (self.clock.now() - older_than).date()

        async def batch(conn: Connection, size: int) -> int:
            return await storage.forget_cells(conn, org_id, before, size)

        return await in_batches(self.database, batch)

    async def _settled(self) -> int | None:
        """A receipt below which everything is committed or never will be; None: there is nothing new, or not just now.

        Numbers are given out before they are committed, in any order: so wait until every transaction that was running
        when the last one had been given out is over.
        """
        up_to = await self._ask(storage.last_receipt)
        if up_to <= await self._ask(storage.progress):
            return None
        await self.clock.sleep(self.settles_s)
        newest, waited_s = await self._ask(storage.newest_transaction), 0.0
        while await self._ask(storage.oldest_transaction) < newest:
            if waited_s >= GIVES_UP_S:
                log.warning("streets_wait", reason="a transaction has been running for long")
                return None
            await self.clock.sleep(self.settles_s)
            waited_s += self.settles_s
        return up_to

    async def _ask(self, question: Callable[[Connection], Awaitable[int]]) -> int:
        async with self.database.transaction(SYSTEM) as conn:
            return await question(conn)


def drawn(tile: Tile, level: int, found: Iterable[tuple[Cell, int]]) -> bytes:
    """The middles of the cells that lie within the tile."""
    rows: dict[int, int] = {}
    columns: dict[int, int] = {}
    by_rank: dict[int, list[tuple[int, int]]] = {}
    for cell, passes in found:
        row, column = cell.row, cell.column
        if row not in rows:
            rows[row] = round(tile.row(streets.middle_deg(level, row, -90)))
        if column not in columns:
            columns[column] = round(tile.column(streets.middle_deg(level, column, -180)))
        place = (columns[column], rows[row])
        if 0 <= place[0] < tiles.EXTENT and 0 <= place[1] < tiles.EXTENT:
            by_rank.setdefault(streets.rank(passes), []).append(place)
    return tiles.encode("streets", "rank", {rank: tiles.in_order(points) for rank, points in sorted(by_rank.items())})


def _cell(level: int, latitude_deg: float, longitude_deg: float) -> Cell:
    width = streets.CELL_E7 * streets.WIDTHS[level] / 1e7
    return Cell.of(level, int((latitude_deg + 90) // width), int((longitude_deg + 180) // width))
