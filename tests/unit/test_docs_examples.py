"""The examples of docs/protocol.md run, and the server reads what they make."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any
from uuid import UUID

import msgpack
import pytest

from waypost.tracking.batches import Batch, decode_msgpack

PROTOCOL = (Path(__file__).resolve().parents[2] / "docs" / "protocol.md").read_text()
STREAM = "0190f3f1-9a3b-7c00-8000-000000000001"
DRIVE: list[dict[str, Any]] = [
    {"latitude": -17.8252, "longitude": 31.0335, "timestamp": 1760000000123, "speed": 13.4, "heading": 271},
    {"latitude": -17.8253, "longitude": 31.0334, "timestamp": 1760000001123, "accuracy": 6},
    {"latitude": -17.8251, "longitude": 31.0335, "timestamp": 1760000002123, "speed": 12.9, "battery": 76},
]


def example(language: str) -> str:
    found = [code for code in re.findall(rf"^```{language}\n(.*?)^```$", PROTOCOL, re.M | re.S) if "columns(" in code]
    assert len(found) == 1
    return found[0]


def check(batch: Batch) -> None:
    told = [
        {name: value for name in ("latitude", "longitude", "timestamp", "speed", "heading", "accuracy", "battery")
         if (value := getattr(report, name)) is not None}
        for report in batch.reports
    ]  # fmt: skip
    assert told == DRIVE
    assert [report.key for report in batch.reports] == [f"{STREAM}:{n}" for n in (4711, 4712, 4713)]
    assert batch.stream == UUID(STREAM)
    assert isinstance(batch.sent_at, int)


def test_the_example_in_python_makes_what_the_server_reads():
    names: dict[str, Any] = {}
    exec(example("python"), names)  # noqa: S102 - it is our own document
    check(decode_msgpack(names["columns"](STREAM, 4711, DRIVE)))


@pytest.mark.skipif(shutil.which("node") is None, reason="there is no `node` here")
def test_the_example_in_javascript_makes_the_same():
    code = f"{example('js')}\nconsole.log(JSON.stringify(columns({json.dumps(STREAM)}, 4711, {json.dumps(DRIVE)})))"
    made = subprocess.run(["node", "-e", code], capture_output=True, text=True, check=True, timeout=60).stdout
    check(decode_msgpack(msgpack.packb(json.loads(made))))
