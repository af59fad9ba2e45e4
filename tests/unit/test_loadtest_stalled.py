"""What the load tests of those who stall compute: delays, bounds, what the kernel says, tables."""

from __future__ import annotations

import time

from loadtest import budgets, stalled, webhooks
from loadtest.stalling import Member, ends
from waypost.realtime.port import Options

TIMES = {"p50_ms": 1.0, "p95_ms": 2.5, "p99_ms": 3.0, "max_ms": 4.0}
TCP = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 0100007F:C001 01 00000010:00000000 00:00000000 00000000     0        0 1 1 0 20 4 30 10 -1
   1: 0100007F:1F90 0100007F:C002 04 00100000:00000000 00:00000000 00000000     0        0 0 1 0 20 4 30 10 -1
   2: 0100007F:C001 0100007F:1F90 01 00000000:00000000 00:00000000 00000000     0        0 2 1 0 20 4 30 10 -1
"""


def test_the_kernels_table_tells_a_servers_ends_and_what_waits_in_them():
    assert ends(0x1F90, TCP) == {0xC001: ("01", 16), 0xC002: ("04", 2**20)}
    assert ends(80, TCP) == {}


def test_delays_are_those_of_the_rooms_events_in_their_phase():
    heard = stalled.Heard(b'42["trip:event",{"at":')
    first = heard.begin()
    heard.note(b'42["trip:event",{"at":%d,"tripId":"x"}]' % (time.monotonic_ns() - 10**9))
    heard.note(b'42["trip:watchers",{"watchers":[]}]')
    later = heard.begin()
    heard.note(b'42["trip:event",{"at":%d,"tripId":"x"}]' % time.monotonic_ns())
    assert (len(first), len(later), heard.count) == (1, 1, 2)
    assert first[0] >= 1 > later[0]


def test_who_is_cut_is_told_by_its_own_code():
    member = Member()
    member.note(b'42["error",{"code":"too-many","detail":""}]')
    assert not member.told
    member.note(b'42["error",{"code":"slow-client","detail":""}]')
    assert member.told


def test_the_bound_is_what_the_settings_let_each_hold():
    options = Options(backlog_bytes=2**20, high_water_bytes=2**19)
    assert stalled.bound_mib(10, options) == 10 * (2 * 2**20 + 2 * len(stalled.PAD)) / 2**20


def test_memory_beyond_its_bound_fails_the_run_and_a_slower_p95_only_says_so():
    figures = {"stalled": {"events": {"ratios": {"p95_while": 9.0, "p95_after": 1.0, "rss_to_bound": 1.1}}}}
    bounds = budgets.read()
    assert list(budgets.breaches(figures, bounds)) == ["stalled.events.ratios.rss_to_bound is 1.1, at most 1 is asked"]
    assert list(budgets.missed(figures, bounds)) == ["stalled.events.ratios.p95_while is 9, at most 1.5 is asked"]
    assert list(budgets.breaches({"webhooks": {"ratios": {"p95": 9.0}}}, bounds)) == []


def test_the_tables_have_a_row_for_each_moment():
    part = {
        **dict.fromkeys(("before", "while", "after"), TIMES),
        "rss_mib": {"before": 100.0, "while": 110.0, "after": 101.0}, "bound_mib": 112.8, "cut": 3, "cut_after_s": 5.0,
        "told": 1, "read_on": 1, "aborted": 2, "ratios": {"p95_while": 1.0},
    }  # fmt: skip
    said = stalled.report({"stalled": 3, "events": part})
    assert [line.split("|")[1].strip() for line in said.splitlines()[:5]] == [
        "events",
        "------",
        "before",
        "while",
        "after",
    ]
    assert "cut: 3 of 3 after 5 s; told why: 1 of 1 who read on; aborted: 2" in said
    times = {"events": 5, **TIMES}
    said = webhooks.report(
        {"hanging": 4, "hanging_at_once": 20, "without": times, "with": times, "ratios": {"p95": 1.0}}
    )
    assert "| 4 hang " in said
    assert said.endswith("p95 with to without: 1; calls that hung at once: 20")
