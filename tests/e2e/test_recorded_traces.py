"""The demo with the real recordings: a city's buses and vans on the map within a minute."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.commands import get, sign_in, up
from tests.servers import folder
from tests.waiting import until

ASKED, SEEN, MOVED = 220, 200, 100
TRACES = Path(os.environ.get("WAYPOST_TRACES_DIR") or Path(__file__).parents[2] / "../shared/data").resolve()

pytestmark = pytest.mark.skipif(
    not any(TRACES.glob("*.csv*")), reason=f"there are no recorded traces in {TRACES} (WAYPOST_TRACES_DIR names others)"
)


async def all_positions(url: str, token: str) -> list[dict[str, Any]]:
    """Every page of `/tracking/latest`."""
    found: list[dict[str, Any]] = []
    query = ""
    while True:
        status, page = await get(f"{url}/api/v1/tracking/latest?limit=200{query}", token)
        assert status == 200
        found += page["data"]
        if not page["hasMore"]:
            return found
        query = f"&cursor={page['nextCursor']}"


@pytest.mark.timeout(240)
async def test_two_hundred_recorded_vehicles_are_seen_and_a_hundred_move_within_a_minute():
    with folder() as place:
        file = place / "info.json"
        options = ("--demo", "--traces", TRACES, "--vehicles", ASKED, "--info", file)
        async with up(place / "data", *options) as command:
            await until(file.exists)
            info = json.loads(file.read_text())
            assert len(info["tripIds"]) >= SEEN
            token = (await sign_in(command.url, info["password"], phone=info["phone"]))["accessToken"]
            first: dict[str, tuple[float, float]] = {}
            moved: set[str] = set()

            async def look() -> bool:
                positions = await all_positions(command.url, token)
                for p in positions:
                    here = (p["latitude"], p["longitude"])
                    if first.setdefault(p["vehicleId"], here) != here:
                        moved.add(p["vehicleId"])
                return len(first) >= SEEN and len(moved) >= MOVED

            await until(look, within_s=60)
