"""At 250 events/s, with connections, nodes and Redis dying, no client misses, repeats or reorders a thing unknowingly.

The product's TypeScript client over the official JavaScript one, and its Python client, keep journals.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from random import SystemRandom
from typing import Any

import pytest

from tests.e2e.crowds import FOLDER, NODE, ROADS, Crowd, javascript, python
from tests.e2e.journals import Journal, contradictions
from tests.e2e.senders import World
from tests.e2e.storms import Load, Nodes, Trouble, loaded
from tests.e2e.workers import RELAY, running
from tests.waiting import until

DASHBOARD = Path(__file__).resolve().parents[2] / "dashboard"
CHANCE = SystemRandom()
TRIPS = 20  # with the fixes of storms.PER_TRIP_S each
CONVERGED_WITHIN_S = 60  # what only the 20 s look of a node finds, too
BREATH_S = 2.0
LONG_LOG, SHORT_LOG = 1000, 10  # events of a room; the short one is over before most breaks are

needs_node = [
    pytest.mark.skipif(NODE is None, reason="there is no `node` here"),
    pytest.mark.skipif(not (FOLDER / "node_modules").is_dir(), reason="run `npm ci` in tests/e2e/js first"),
    pytest.mark.skipif(not (DASHBOARD / "node_modules").is_dir(), reason="run `make web` first"),
]


async def cut_at_random(crowd: Crowd) -> None:
    while True:
        await asyncio.sleep(CHANCE.uniform(0.5, 1.5))
        await crowd.cut(CHANCE.sample(list(ROADS), 2))


async def befall(trouble: Trouble, load: Load, crowd: Crowd, rounds: int) -> None:
    cutting = asyncio.create_task(cut_at_random(crowd))
    try:
        for at in range(rounds):
            for happens in (
                trouble.subscribers_are_cut,
                trouble.redis_connections_are_cut,
                lambda at=at: trouble.a_node_is_killed(at % 2),
                trouble.redis_is_emptied,
                trouble.redis_restarts,
                lambda at=at: trouble.a_node_is_restarted((at + 1) % 2),
            ):
                await asyncio.sleep(BREATH_S)
                await happens()
                load.check()
        await asyncio.sleep(BREATH_S)
    finally:
        cutting.cancel()
        await asyncio.gather(cutting, return_exceptions=True)


async def converged(crowd: Crowd, load: Load) -> bool:
    """Does each show the truth?"""
    truth = load.truth
    states = await crowd.states()
    return all(
        state["trips"] == truth["trips"] and state["versions"] == truth["versions"] for state in states.values()
    ) and all(sorted(state["fleet"].values()) == sorted(truth["trips"].values()) for state in states.values())


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("crowd_of", "history", "rounds"),
    [
        pytest.param(javascript, LONG_LOG, 1, id="typescript", marks=needs_node),
        pytest.param(python, SHORT_LOG, 1, id="python, short log"),
        pytest.param(javascript, LONG_LOG, 12, id="typescript, long", marks=[*needs_node, pytest.mark.long]),
        pytest.param(
            javascript, SHORT_LOG, 12, id="typescript, short log, long", marks=[*needs_node, pytest.mark.long]
        ),
        pytest.param(python, LONG_LOG, 12, id="python, long", marks=pytest.mark.long),
        pytest.param(python, SHORT_LOG, 12, id="python, short log, long", marks=pytest.mark.long),
    ],
)
async def test_no_client_misses_repeats_or_reorders_anything_unknowingly(
    world: World, tmp_path: Path, crowd_of: Callable[..., Any], history: int, rounds: int
):
    nodes = Nodes(world.env | {"WAYPOST_HISTORY_EVENTS": str(history)})
    async with AsyncExitStack() as exits:
        await asyncio.gather(nodes.start(0), nodes.start(1))
        exits.push_async_callback(close, nodes)
        await exits.enter_async_context(running(*RELAY, env=nodes.env))  # tells what a killed node has left
        load = await exits.enter_async_context(loaded(world, nodes, TRIPS))
        crowd = await exits.enter_async_context(crowd_of(load, tmp_path))
        await befall(Trouble(world, nodes), load, crowd, rounds)
        await load.ends()
        with suppress(AssertionError):  # said below, with what is missing
            await until(lambda: converged(crowd, load), CONVERGED_WITHIN_S)
        journals = await crowd.journals()
        check(journals, await crowd.states(), load)
        for journal in journals:  # it was a storm
            assert journal.connections > 3 * rounds
            assert min(journal.count("missed"), journal.count("snapshot") - TRIPS) > 10 * rounds
        complaints = nodes.complaints()
        assert not complaints, complaints[0]


async def close(nodes: Nodes) -> None:
    for which in list(nodes.running):
        await nodes.stop(which)


def check(journals: list[Journal], states: dict[str, Any], load: Load) -> None:
    truth = load.truth
    print(f"\n{load.rate:.0f} events a second for {load.lasted_s:.0f} s")  # noqa: T201 - shown when it fails, or with -s
    for journal in journals:
        print(  # noqa: T201
            f"{journal.name}: {len(journal.wire)} events on {journal.connections} connections; applied "
            f"{journal.count('event')} live, {journal.count('missed')} missed, {journal.count('snapshot')} snapshots; "
            f"cut by {sorted({str(code) for code in journal.cuts})}"
        )
    assert [fault for journal in journals for fault in journal.faults()][:20] == []
    assert contradictions(journals)[:20] == []
    for journal in journals:
        rooms = {"fleet": truth["versions"]} | {trip: {trip: last} for trip, last in truth["versions"].items()}
        assert [lack for room, versions in rooms.items() for lack in journal.lacks(room, versions)][:20] == []
    for name, state in states.items():
        assert (name, state["trips"], state["versions"]) == (name, truth["trips"], truth["versions"])
        assert (name, sorted(state["fleet"].values())) == (name, sorted(truth["trips"].values()))
