"""Load tests: each starts a private stack, drives it and prints figures; `world` prepares a running installation."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import typer

from loadtest import (
    budgets,
    fanout,
    history,
    idle,
    ingest,
    keys,
    latency,
    laybys,
    notifications,
    payments,
    recovery,
    roads,
    seen,
    stalled,
    webhooks,
    world,
)
from loadtest.errors import LoadtestError
from loadtest.machine import ROOT, machine
from loadtest.stand import Stand
from waypost.commands.common import loop_factory
from waypost.kernel.errors import AppError
from waypost.platform.embedded import EmbeddedError

YARDSTICK = ROOT.parent / "shared" / "yardstick"
BAD_USE = 2


def main() -> int:
    options = _parser().parse_args(sys.argv[1:] or ["all"])
    try:
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            return int(runner.run(options.run(options)))
    except typer.Exit as end:  # a shared part of the commands has said why
        return end.exit_code
    except (LoadtestError, EmbeddedError, AppError) as error:
        print(f"loadtest: {error.detail if isinstance(error, AppError) else error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m loadtest", description=__doc__)
    scenarios = parser.add_subparsers(dest="scenario", metavar="SCENARIO", required=True)
    common = _common(10)
    load = argparse.ArgumentParser(add_help=False)
    load.add_argument("--connections", type=int, default=32, help="clients at once (default 32)")
    yardstick = argparse.ArgumentParser(add_help=False)
    yardstick.add_argument("--yardstick", type=Path, metavar="DIR", default=YARDSTICK if YARDSTICK.is_dir() else None,
                           help="folder with the yardsticks (default: ../shared/yardstick)")  # fmt: skip
    rounds = argparse.ArgumentParser(add_help=False)
    rounds.add_argument("--rounds", type=int, default=1, help="times that all parts take turns (default 1)")
    soak = argparse.ArgumentParser(add_help=False)
    soak.add_argument("--fixes", type=int, default=500_000, help="fixes that memory is watched over (default 500,000)")
    _scenario(scenarios, "ingest", _ingest, ingest.__doc__, common, load, yardstick, rounds, soak)
    _scenario(scenarios, "ping", _one_part(1), "Ours alone, one fix a request.", common, load, yardstick)
    _scenario(scenarios, "ping50", _one_part(50), "Ours alone, 50 fixes a request.", common, load, yardstick)
    rows = argparse.ArgumentParser(add_help=False)
    rows.add_argument("--fixes", type=int, default=1_000_000, help="rows in the table (default 1,000,000)")
    _scenario(scenarios, "history", _history, history.__doc__, common, rows)
    _scenario(scenarios, "seen", _seen, seen.__doc__, common)
    _scenario(scenarios, "keys", _keys, keys.__doc__, common)
    _realtime(scenarios, common, yardstick, rounds)
    shops = argparse.ArgumentParser(add_help=False)
    shops.add_argument("--laybys", type=int, default=laybys.LAYBYS, help="in the tables (default 1,000,000)")
    shops.add_argument("--rate", type=float, default=laybys.REQUESTS_PER_S, help="requests a second (default 300)")
    shops.add_argument("--shops", type=int, default=laybys.SHOPS, help="whose they are (default 200)")
    _scenario(scenarios, "laybys", _laybys, laybys.__doc__, _common(30), shops)
    _scenario(scenarios, "payments", _payments, payments.__doc__, _common(30), shops)
    told = _scenario(scenarios, "notifications", _notifications, notifications.__doc__, _common(0))
    told.add_argument("--events", type=int, default=notifications.EVENTS, help="that are sent at once (default 6,000)")
    told.add_argument("--backlog", type=int, default=notifications.BACKLOG, help="that wait (default 10,000)")
    hooks = _scenario(scenarios, "webhooks", _webhooks, webhooks.__doc__, _common(webhooks.SECONDS))
    hooks.add_argument("--hanging", type=int, default=webhooks.HANGING, help="that never answer (default 100)")
    hooks.add_argument("--rate", type=float, default=webhooks.EVENTS_PER_S, help="events a second (default 20)")
    every = "ingest, history, seen, fanout, latency, idle, recovery and roads (also without any SCENARIO)."
    _scenario(scenarios, "all", _all, every, common, load, yardstick, rounds, soak)
    made = _scenario(scenarios, "world", _world, world.__doc__)
    made.add_argument("--url", required=True, help="address of the installation")
    made.add_argument("--trips", type=int, required=True, help="how many drivers, each on a trip")
    made.add_argument("--out", type=Path, required=True, help='file for lines "tripId driverId deviceToken"')
    made.add_argument(
        "--data", type=Path, help="data folder of the `waypost up` whose database is meant, if none is set"
    )
    return parser


def _common(seconds: float) -> argparse.ArgumentParser:
    """Options of every scenario."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--json", type=Path, metavar="FILE", help="write the figures there as well")
    common.add_argument("--seconds", type=float, default=seconds, help=f"how long each part runs (default {seconds:g})")
    return common


def _realtime(
    scenarios: Any,
    common: argparse.ArgumentParser,
    yardstick: argparse.ArgumentParser,
    rounds: argparse.ArgumentParser,
) -> None:
    """The scenarios of the hub."""
    made = _scenario(scenarios, "fanout", _fanout, fanout.__doc__, common, yardstick, rounds)
    made.add_argument("--members", type=int, default=1000, help="of the room (default 1,000)")
    made.add_argument("--only", nargs="+", default=[], choices=fanout.TITLES, metavar="PART", help="these parts alone")
    _scenario(scenarios, "latency", _latency, latency.__doc__, common)
    made = _scenario(scenarios, "idle", _idle, idle.__doc__, _common(idle.SECONDS), yardstick)
    made.add_argument("--sockets", type=int, default=10_000, help="connections (default 10,000)")
    made = _scenario(scenarios, "recovery", _recovery, recovery.__doc__, common)
    made.add_argument("--clients", type=int, default=2000, help="that lose their node (default 2,000)")
    _scenario(scenarios, "roads", _roads, roads.__doc__, common)
    made = _scenario(scenarios, "stalled", _stalled, stalled.__doc__, _common(stalled.SECONDS))
    made.add_argument("--members", type=int, default=stalled.MEMBERS, help="that read (default 100)")
    made.add_argument("--stalled", type=int, default=stalled.STALLED, help="that stop reading (default 100)")
    made.add_argument("--rate", type=float, default=stalled.EVENTS_PER_S, help="events a second (default 500)")
    made.add_argument("--only", nargs="+", default=[], choices=stalled.PARTS, metavar="PART", help="these parts alone")


def _scenario(
    scenarios: Any, name: str, run: Callable[[argparse.Namespace], Awaitable[int]], doc: str | None, *parents: Any
) -> argparse.ArgumentParser:
    about = (doc or "").strip().splitlines()[0].partition(": ")
    parser: argparse.ArgumentParser = scenarios.add_parser(
        name, parents=parents, help=about[2] or about[0], description=doc,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.set_defaults(run=run)
    return parser


async def _ingest(options: argparse.Namespace) -> int:
    figures = await ingest.ingest(_plan(options))
    return _finish(options, {"ingest": figures}, ingest.report(figures))


async def _history(options: argparse.Namespace) -> int:
    return _finish(options, {"history": await history.history(options.fixes)})


async def _seen(options: argparse.Namespace) -> int:
    return _finish(options, {"seen": await seen.seen(options.seconds)})


async def _keys(options: argparse.Namespace) -> int:
    async with Stand.open(nodes=0) as stand:
        figures = await keys.keys(stand, min(1.0, options.seconds))
    return _finish(options, {"keys": figures}, keys.report(figures))


async def _fanout(options: argparse.Namespace) -> int:
    plan = fanout.Plan(options.seconds, options.rounds, options.members, _yardstick(options), frozenset(options.only))
    figures = await fanout.fanout(plan)
    return _finish(options, {"fanout": figures}, fanout.report(figures))


async def _latency(options: argparse.Namespace) -> int:
    return _finish(options, {"latency": await latency.latency(options.seconds)})


async def _idle(options: argparse.Namespace) -> int:
    return _finish(options, {"idle": await idle.idle(options.sockets, options.seconds, _yardstick(options))})


async def _recovery(options: argparse.Namespace) -> int:
    return _finish(options, {"recovery": await recovery.recovery(options.clients)})


async def _roads(options: argparse.Namespace) -> int:
    figures = await roads.roads(options.seconds)
    return _finish(options, {"roads": figures}, roads.report(figures))


async def _stalled(options: argparse.Namespace) -> int:
    plan = stalled.Plan(options.seconds, options.members, options.stalled, options.rate, frozenset(options.only))
    figures = await stalled.stalled(plan)
    return _finish(options, {"stalled": figures}, stalled.report(figures))


async def _laybys(options: argparse.Namespace) -> int:
    figures = await laybys.laybys(
        options.seconds, count=options.laybys, of_shops=options.shops, requests_per_s=options.rate
    )
    return _finish(options, {"laybys": figures})


async def _payments(options: argparse.Namespace) -> int:
    figures = await payments.payments(
        options.seconds, count=options.laybys, of_shops=options.shops, callbacks_per_s=options.rate
    )
    return _finish(options, {"payments": figures})


async def _notifications(options: argparse.Namespace) -> int:
    return _finish(options, {"notifications": await notifications.notifications(options.events, options.backlog)})


async def _webhooks(options: argparse.Namespace) -> int:
    figures = await webhooks.webhooks(options.seconds, options.hanging, options.rate)
    return _finish(options, {"webhooks": figures}, webhooks.report(figures))


async def _all(options: argparse.Namespace) -> int:
    figures: dict[str, Any] = {"ingest": await ingest.ingest(_plan(options))}
    print("\n" + ingest.report(figures["ingest"]) + "\n")
    figures["history"] = await history.history(1_000_000)
    figures["seen"] = await seen.seen(options.seconds)
    plan = fanout.Plan(options.seconds, options.rounds, yardstick=options.yardstick)
    figures["fanout"] = await fanout.fanout(plan)
    print("\n" + fanout.report(figures["fanout"]) + "\n")
    figures["latency"] = await latency.latency(options.seconds)
    figures["idle"] = await idle.idle(yardstick=options.yardstick)
    figures["recovery"] = await recovery.recovery()
    figures["roads"] = await roads.roads(options.seconds)
    return _finish(options, figures)


def _one_part(batch: int) -> Callable[[argparse.Namespace], Awaitable[int]]:
    async def run(options: argparse.Namespace) -> int:
        plan = ingest.Plan(options.seconds, options.connections, yardstick=options.yardstick)
        async with Stand.open() as stand:
            return _finish(options, {options.scenario: await ingest.ours(stand, plan, batch)})

    return run


async def _world(options: argparse.Namespace) -> int:
    if options.trips < 1:
        raise LoadtestError("--trips: at least 1")
    made = await world.write_world(options.url.rstrip("/"), options.trips, options.out, options.data)
    print(f"{len(made.driven)} trips of organisation {made.org_id}, without limits on their devices: {options.out}")
    return 0


def _plan(options: argparse.Namespace) -> ingest.Plan:
    return ingest.Plan(options.seconds, options.connections, options.rounds, options.fixes, _yardstick(options))


def _yardstick(options: argparse.Namespace) -> Path | None:
    folder: Path | None = options.yardstick
    if folder is not None and not folder.is_dir():
        raise LoadtestError(f"--yardstick {folder}: there is no such folder")
    return folder


def _finish(options: argparse.Namespace, figures: dict[str, Any], report: str | None = None) -> int:
    """Print, write, and judge by the budgets. ``report``: what people read in place of the JSON."""
    text = json.dumps({"machine": machine(), **figures}, indent=2)
    if options.json:
        options.json.write_text(text + "\n")
    print(f"\n{report}\n" if report else text)
    bounds = budgets.read()
    for line in budgets.missed(figures, bounds):
        print(f"target missed: {line}", flush=True)
    breaches = list(budgets.breaches(figures, bounds))
    for line in breaches:
        print(f"budget breached: {line}", file=sys.stderr)
    return 1 if breaches else 0


if __name__ == "__main__":
    sys.exit(main())
