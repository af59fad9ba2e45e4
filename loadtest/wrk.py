"""The load generator ``wrk`` with the yardstick's script, as one run."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from loadtest.errors import LoadtestError

HOW_TO_GET = "wrk is not on PATH (Debian, Ubuntu, Fedora, Homebrew: the package is called wrk)"
SCRIPT = "ping.lua"
REQUESTS = re.compile(r"(\d+) requests in ([\d.]+)(ms|s|m),")
BAD = re.compile(r"Non-2xx or 3xx responses: (\d+)")
ERRORS = re.compile(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)")
QUANTILE = re.compile(r"^\s+(50|75|90|99)%\s+([\d.]+)(us|ms|s)\s*$", re.MULTILINE)
SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0}


@dataclass(frozen=True, slots=True)
class Run:
    """``quantiles_ms``: percent -> time to the answer."""

    requests: int
    seconds: float
    quantiles_ms: dict[int, float]


def why_not(yardstick: Path | None) -> str | None:
    """What is missing for a run; None when nothing is."""
    if shutil.which("wrk") is None:
        return HOW_TO_GET
    if yardstick is None or not (yardstick / SCRIPT).is_file():
        return f"there is no {SCRIPT}: name its folder with --yardstick"
    return None


async def run(yardstick: Path, url: str, trips: Path, *, batch: int, seconds: float, connections: int) -> Run:
    """``trips``: a file of lines "tripId driverId token". ``LoadtestError`` when a request was not answered well."""
    arguments = ("-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--latency", "-s", str(yardstick / SCRIPT))
    process = await asyncio.create_subprocess_exec(
        "wrk", *arguments, url, env={**os.environ, "TRIPS": str(trips), "BATCH": str(batch)},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    out, _ = await process.communicate()
    return read(out.decode(errors="replace"))


def read(text: str) -> Run:
    """What wrk printed."""
    found = REQUESTS.search(text)
    if found is None:
        raise LoadtestError(f"wrk said: {text.strip()}")
    bad, errors = BAD.search(text), ERRORS.search(text)
    if bad or errors:
        said = ", ".join(match[0].lower() for match in (bad, errors) if match)
        raise LoadtestError(f"of {found[1]} requests not all were answered well ({said}): nothing to measure")
    quantiles = {
        int(percent): round(float(time) * SECONDS[unit] * 1000, 2) for percent, time, unit in QUANTILE.findall(text)
    }
    return Run(int(found[1]), float(found[2]) * SECONDS[found[3]], quantiles)
