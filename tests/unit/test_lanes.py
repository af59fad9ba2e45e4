"""Lanes of jobs, whatever one of the jobs runs into."""

from __future__ import annotations

import asyncio

from waypost.realtime.lanes import Lane, Workers


async def test_what_a_job_waited_for_may_be_cancelled_and_the_jobs_behind_it_are_done():
    workers, lane = Workers(), Lane()
    shared: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    done: list[str] = []

    async def wait_for_it() -> None:
        done.append("waits")
        await shared

    async def disconnected() -> None:
        done.append("disconnected")

    workers.put(lane, wait_for_it)
    workers.put(lane, disconnected)
    await asyncio.sleep(0)
    assert done == ["waits"]
    shared.cancel()
    await workers.close(within_s=5)  # waits until none is busy
    assert done == ["waits", "disconnected"]
    assert not lane.is_running


async def test_a_lane_whose_job_was_cancelled_takes_new_ones():
    workers, lane = Workers(), Lane()
    done = asyncio.Event()

    async def cancelled() -> None:
        raise asyncio.CancelledError

    async def later() -> None:
        done.set()

    workers.put(lane, cancelled)
    await asyncio.sleep(0)
    workers.put(lane, later)
    await asyncio.wait_for(done.wait(), 2)
    await workers.close(within_s=5)


async def test_a_job_that_takes_longer_than_the_end_may_is_cancelled():
    """What is cancelled itself is not mistaken for what only waited for something that was."""
    workers, lane = Workers(), Lane()
    done: list[str] = []

    async def forever() -> None:
        await asyncio.Event().wait()

    async def behind() -> None:
        done.append("behind")

    workers.put(lane, forever)
    workers.put(lane, behind)
    await workers.close(within_s=0.05)
    assert done == []
