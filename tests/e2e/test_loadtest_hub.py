"""``python -m loadtest`` for the hub, in miniature and without the yardsticks: what it says must hold at any size."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.e2e.test_loadtest_world import loadtest


async def test_all_who_lost_their_node_are_told_exactly_what_they_missed(tmp_path: Path):
    out = tmp_path / "figures.json"
    status, said = await loadtest("recovery", "--clients", 20, "--json", out, env={})
    assert status == 0, said
    found = json.loads(out.read_text())["recovery"]
    assert (found["clients"], found["recovered"], found["exact"], found["gaps"]) == (20, 20, 20, 0)
    assert found["events_missed"]["most"] >= 1


@pytest.mark.long
async def test_a_small_room_is_measured_with_receivers_of_our_own(tmp_path: Path):
    out = tmp_path / "figures.json"
    status, said = await loadtest(
        "fanout", "--members", 10, "--seconds", 1, "--only", "ours", "tick_fleet", "--yardstick", tmp_path,
        "--json", out, env={},
    )  # fmt: skip
    assert status == 0, said
    (found,) = json.loads(out.read_text())["fanout"]["rounds"]
    assert found["ours"]["events"] == found["ours"]["updates"] > 0
    assert found["tick_fleet"]["updates"] == 200
