"""``python -m loadtest SCENARIO``: start a private stack, drive it, print the figures."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from pathlib import Path

from loadtest.scenarios import SCENARIOS
from loadtest.stand import Stand, machine


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m loadtest", description=__doc__)
    parser.add_argument("scenario", nargs="?", choices=sorted(SCENARIOS), help="what to measure (default: each)")
    parser.add_argument("--seconds", type=float, default=10, help="how long each part runs (default 10)")
    parser.add_argument("--connections", type=int, default=32, help="clients at once (default 32)")
    parser.add_argument("--json", type=Path, help="write the figures there as well")
    options = parser.parse_args()
    names = [options.scenario] if options.scenario else sorted(SCENARIOS)
    figures: dict[str, object] = {"machine": machine()}
    for name in names:
        figures[name] = asyncio.run(_measure(name, options.seconds, options.connections))
        print(f"{name}: {json.dumps(figures[name])}", flush=True)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")
    return 0


async def _measure(name: str, seconds: float, connections: int) -> object:
    async with Stand.open() as stand:
        return await SCENARIOS[name](stand, seconds, connections)


if __name__ == "__main__":
    sys.exit(main())
