"""What the load tests compute: percentiles, rows for COPY, wrk's words, budgets."""

from __future__ import annotations

import struct
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from loadtest import budgets, wrk
from loadtest.client import Connection, Phone
from loadtest.errors import LoadtestError
from loadtest.ingest import ratios
from loadtest.percentiles import percentiles
from loadtest.rows import COLUMNS, COPY_END, COPY_HEADER, ROW, Rows, copied, moments
from loadtest.table import table
from loadtest.world import Driven, World

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
WRK = """
Running 10s test @ http://127.0.0.1:8080
  1 threads and 32 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     5.11ms    2.03ms  40.11ms   85.61%
  Latency Distribution
     50%    4.70ms
     75%    5.62ms
     90%  900.00us
     99%    1.20s
  62541 requests in 10.01s, 20.10MB read
Requests/sec:   6247.85
"""


def driven(number: int) -> Driven:
    return Driven(UUID(int=number), UUID(int=100 + number), UUID(int=200 + number), f"wpd_{number}")


@pytest.fixture
def world() -> World:
    return World(UUID(int=1), [driven(n) for n in range(3)])


def test_percentiles_are_of_the_nearest_rank_in_milliseconds():
    found = percentiles([n / 1000 for n in range(1, 101)])
    assert found == {"p50_ms": 50.0, "p95_ms": 95.0, "p99_ms": 99.0, "max_ms": 100.0}
    assert percentiles([0.007]) == {"p50_ms": 7.0, "p95_ms": 7.0, "p99_ms": 7.0, "max_ms": 7.0}
    assert percentiles([]) == {}


def test_rows_take_turns_by_batches_and_no_fix_comes_twice(world: World):
    rows = Rows(world, 2, NOON)
    first, more = list(rows.next(6)), list(rows.next(5))
    device = COLUMNS.index("device_id")
    assert [row[device] for row in first] == [d.device_id for d in world.driven for _ in range(2)]
    keys = [(row[device], row[COLUMNS.index("raw_at")]) for row in first + more]
    assert len(set(keys)) == 11
    (began, *_), at = moments(first), COLUMNS.index("raw_at")
    assert began[at] == NOON - timedelta(hours=20) + timedelta(seconds=1)


def test_a_copied_row_has_the_binary_form_of_copy(world: World):
    data = copied(Rows(world, 1, NOON).next(2))
    assert data.startswith(COPY_HEADER)
    assert data.endswith(COPY_END)
    assert len(data) == len(COPY_HEADER) + 2 * ROW.size + len(COPY_END)
    fields, length, org = struct.unpack_from("!hi16s", data, len(COPY_HEADER))
    assert (fields, length, UUID(bytes=org)) == (len(COLUMNS), 16, world.org_id)


def test_what_wrk_prints_is_read_with_its_units():
    run = wrk.read(WRK)
    assert (run.requests, run.seconds) == (62541, 10.01)
    assert run.quantiles_ms == {50: 4.7, 75: 5.62, 90: 0.9, 99: 1200.0}


@pytest.mark.parametrize(
    "line", ["  Non-2xx or 3xx responses: 7", "  Socket errors: connect 0, read 3, write 0, timeout 0"]
)
def test_a_run_in_which_a_request_failed_is_no_measurement(line: str):
    with pytest.raises(LoadtestError, match="nothing to measure"):
        wrk.read(WRK + line)


def test_wrk_that_could_not_run_is_told_with_its_own_words():
    with pytest.raises(LoadtestError, match="unable to connect"):
        wrk.read("unable to connect to 127.0.0.1:1 Connection refused")


def test_a_phone_sends_what_the_yardsticks_script_sends():
    phone = Phone(driven(1), start_ms=1_000_000)
    request = phone.request(2)
    head, _, body = request.partition(b"\r\n\r\n")
    assert head.startswith(b"POST /api/v1/tracking/ping HTTP/1.1\r\n")
    assert b"Authorization: Bearer wpd_1" in head
    assert f"Content-Length: {len(body)}".encode() in head
    assert b'{"latitude":-17.799900,"longitude":31.000100,"timestamp":1001000,"accuracy":5.5,"speed":13.25}' in body
    assert b'"timestamp":1003000' in phone.request(1)


async def test_an_answer_is_read_whole_however_it_is_cut_and_the_next_one_after_it():
    import asyncio

    connection = Connection()
    answer = b"HTTP/1.1 200 OK\r\nContent-Type: x\r\ncontent-length: 5\r\n\r\nhello"
    for cut in range(1, len(answer)):
        connection.waiting = asyncio.get_running_loop().create_future()
        connection.data_received(answer[:cut])
        assert not connection.waiting.done()
        connection.data_received(answer[cut:])
        assert connection.waiting.result() == (200, b"hello")
    connection.waiting = asyncio.get_running_loop().create_future()
    connection.connection_lost(None)
    with pytest.raises(ConnectionError):
        connection.waiting.result()


def test_ratios_are_of_the_medians_and_of_what_was_measured():
    def a_round(one: float, peer: float) -> dict[str, dict[str, float]]:
        return {"one": {"fixes_per_s": one}, "peer_one": {"fixes_per_s": peer}}

    assert ratios([a_round(80, 10), a_round(90, 10), a_round(1, 20)]) == {"one_to_peer": 8.0}
    assert ratios([{"one": {"fixes_per_s": 5.0}}]) == {}


def test_a_breach_is_told_by_its_path_and_what_was_not_measured_breaks_nothing():
    bounds = {
        "a": {"b": {"min": 2.0}, "c": {"max": 1.0}},
        "targets": {"a": {"d": {"max": 3.0}}},
        "other": {"x": {"min": 1}},
    }
    figures = {"a": {"b": 1.5, "c": 0.5, "d": 4.0}}
    assert list(budgets.breaches(figures, bounds)) == ["a.b is 1.5, at least 2 is asked"]
    assert list(budgets.missed(figures, bounds)) == ["a.d is 4, at most 3 is asked"]
    assert list(budgets.breaches({"a": {"b": 2.0, "c": 1.0}}, bounds)) == []


def test_the_budgets_are_those_of_the_design():
    asked = budgets.read()["ingest"]["ratios"]
    assert asked == {"one_to_peer": {"min": 8.0}, "fifty_to_peer": {"min": 2.5}, "fifty_to_copy": {"min": 0.45}}
    asked = budgets.read()["fanout"]["ratios"]
    assert asked == {"ours_to_limit": {"max": 1.5}, "ours_to_peer": {"max": 0.7}, "ours_to_stock": {"max": 0.2}}


def test_a_table_is_as_wide_as_its_cells():
    assert table([["a", "bb"], ["ccc", "d"]]) == "| a   | bb |\n| --- | -- |\n| ccc | d  |"
