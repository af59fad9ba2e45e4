"""Fuzzing from the API's own description: no 500, no answer that is not described, whatever is sent."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from pathlib import Path

import aiohttp
import pytest

from tests.e2e.commands import clean_environment, free_port, running
from tests.factories import Org, things
from waypost.trips.service import NewTrip

HERE = Path(__file__).parent
READY = re.compile(r"listening .*(http://[\d.:]+)")
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
# They end the very session that fuzzes; each has tests of its own.
LEFT_OUT = ("/api/v1/auth/logout",)
COUNT = re.compile(r"Test cases:\s+(\d[\d,]*) generated")


async def world(org: Org) -> dict[str, list[str]]:
    """Things for the fuzzer to find; their ids by the names that they have in paths."""
    found = {camel(name): [str(one)] for name, one in (await things(org)).items()}
    for _ in range(4):
        phone = await org.phone()
        trip = await org.services.trips.create(org.owner, NewTrip(driver_id=phone.driver_id))
        found["tripId"] += [str(trip.id), str(phone.trip.id if phone.trip else trip.id)]
        found["driverId"].append(str(phone.driver_id))
        found["deviceId"].append(str(phone.device_id))
    return found


async def statuses_of_trips(url: str) -> set[str]:
    """The statuses that one trip's routes have answered, as the server itself has counted."""
    async with aiohttp.ClientSession() as session, session.get(f"{url}/metrics") as response:
        text = await response.text()
    return set(
        re.findall(r'request_seconds_count\{method="GET",route="/api/v1/trips/\{trip_id\}",status="(\d+)"', text)
    )


def camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


async def fuzz(environment: dict[str, str], token: str, ids: dict[str, list[str]], cases: int, folder: Path) -> int:
    """Run the fuzzer over a server of its own; how many cases it sent."""
    port = free_port()
    settings = {"WAYPOST_PORT": str(port), "WAYPOST_ACCESS_TOKEN_S": "86400"} | {
        f"WAYPOST_RATE_{name}": "0" for name in ("PERSON", "ORGANISATION", "ADDRESS", "COSTLY")
    }
    async with running("serve", env=clean_environment(environment | settings)) as server:
        url = (await server.says(READY)).group(1)
        arguments = [
            "run", f"{url}/api/openapi.json", "--checks", CHECKS, "--max-examples", str(cases), "--seed", "1",
            "--header", f"Authorization: Bearer {token}", "--phases", "examples,coverage,fuzzing",
            "--request-timeout", "30", "--no-color", "--suppress-health-check", "all", "--warnings", "off",
            "--continue-on-failure", "--generation-database", "none",
        ]  # fmt: skip
        for path in LEFT_OUT:
            arguments += ["--exclude-path", path]
        process = await asyncio.create_subprocess_exec(
            Path(sys.executable).with_name("st"),
            *arguments,
            cwd=folder,
            env=clean_environment() | {"SCHEMATHESIS_HOOKS": "tests.e2e.fuzz_hooks", "PYTHONPATH": str(HERE.parents[1]),
                                       "WAYPOST_FUZZ_IDS": json.dumps(ids)},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        try:
            output = (await process.communicate())[0].decode(errors="replace")
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        assert process.returncode == 0, f"{output[-6000:]}\n--- server:\n{server.text[-3000:]}"
        assert "request_failed" not in server.text
        assert "200" in await statuses_of_trips(url), "it never got past the door"
        found = COUNT.search(output)
        assert found, output[-2000:]
        return int(found[1].replace(",", ""))


@pytest.mark.timeout(600)
async def test_nothing_that_the_fuzzer_sends_is_answered_in_a_way_that_is_not_described(
    environment: dict[str, str], org: Org, tmp_path: Path
):
    sent = await fuzz(environment, await org.token(), await world(org), cases=8, folder=tmp_path)
    assert sent > 500


@pytest.mark.long
@pytest.mark.timeout(5400)
async def test_nor_of_fifty_thousand_cases(environment: dict[str, str], org: Org, tmp_path: Path):
    ids = await world(org)
    assert await fuzz(environment, await org.token(), ids, cases=900, folder=tmp_path) >= 50_000


@pytest.mark.long
@pytest.mark.timeout(1800)
async def test_nor_of_what_a_device_sends(environment: dict[str, str], org: Org, tmp_path: Path):
    phone = await org.phone()
    assert await fuzz(environment, phone.token, await world(org), cases=60, folder=tmp_path) > 1000
