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


@pytest.mark.long
async def test_members_that_stall_are_cut_within_their_bound_and_hear_why_if_they_read_on(tmp_path: Path):
    out = tmp_path / "figures.json"
    status, said = await loadtest(
        "stalled", "--members", 3, "--stalled", 3, "--seconds", 1, "--only", "events", "--json", out, env={}
    )
    assert status == 0, said
    found = json.loads(out.read_text())["stalled"]["events"]
    assert (found["cut"], found["told"], found["aborted"]) == (3, 1, 2)
    assert all(found[phase]["heard"] for phase in ("before", "while", "after"))


@pytest.mark.long
async def test_endpoints_that_hang_keep_nothing_from_those_that_answer(tmp_path: Path):
    out = tmp_path / "figures.json"
    status, said = await loadtest("webhooks", "--hanging", 10, "--seconds", 3, "--json", out, env={})
    assert status == 0, said
    found = json.loads(out.read_text())["webhooks"]
    assert found["with"]["events"] == found["without"]["events"] == 60
    assert found["hanging_at_once"] > 10
