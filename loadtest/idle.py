"""``idle``: ten thousand connections that say nothing: resident memory of each, and what their heartbeats cost."""

from __future__ import annotations

import asyncio
import resource
import tempfile
from pathlib import Path
from typing import Any

from loadtest import fanout, flood
from loadtest.errors import LoadtestError
from loadtest.ingest import say
from loadtest.machine import cpu_s, rss_mib
from loadtest.stand import Stand

SOCKETS = 10_000
SECONDS = 60.0
CONNECTED_WITHIN_S = 20  # their sign-in has been answered
GONE_WITHIN_S = 30
SPARE_FILES = 500  # that a server has open besides its sockets


async def idle(sockets: int = SOCKETS, seconds: float = SECONDS, yardstick: Path | None = None) -> dict[str, Any]:
    """Ours, then the stock library in the same way; each on a fresh process."""
    allow_files(sockets + SPARE_FILES)
    with tempfile.TemporaryDirectory() as folder:
        tools = await flood.build(yardstick, Path(folder))
        async with Stand.open() as stand:
            world = await stand.world(1)
            token = await stand.sign_in(world.org_id)
            figures = {"sockets": sockets, **await _held(tools, stand.urls[0], stand.pids[0], sockets, seconds, token)}
        say(f"  {figures['kib_each']} KiB each, heartbeats {figures['heartbeat_cores']} of a core")
        async with fanout.stock() as (url, pid):
            figures["stock"] = await _held(tools, url, pid, sockets, seconds, "")
    return figures


async def _held(tools: flood.Tools, url: str, pid: int, sockets: int, seconds: float, token: str) -> dict[str, Any]:
    say(f"{sockets:,} connections for {seconds:g} s")
    before = rss_mib(pid)
    async with flood.members(tools, url, sockets, CONNECTED_WITHIN_S + seconds + 1, token=token) as crowd:
        await flood.quiet(pid, CONNECTED_WITHIN_S, of_a_core=0.5)
        held, cpu = rss_mib(pid), cpu_s(pid)
        await asyncio.sleep(seconds)
        cpu, ended = cpu_s(pid) - cpu, rss_mib(pid)
        await crowd.result()
    await flood.quiet(pid, GONE_WITHIN_S)
    return {
        "kib_each": round((max(held, ended) - before) / sockets * 1024, 1),
        "heartbeat_cores": round(cpu / seconds, 3),
        "rss_mib": {"before": round(before), "held": round(max(held, ended)), "after": round(rss_mib(pid))},
    }


def allow_files(wanted: int) -> None:
    """As many open files as that, for us and for whom we start."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= wanted:
        return
    if hard < wanted:
        raise LoadtestError(f"{wanted:,} open files are needed and {hard:,} allowed: raise the limit (ulimit -Hn)")
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
