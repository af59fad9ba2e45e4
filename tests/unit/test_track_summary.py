"""A track in figures, against made tracks, labelled ones, and a sum that shares no code with it."""

from __future__ import annotations

import csv
import gzip
import itertools
import math
import os
import random
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waypost.tracking import summary
from waypost.tracking.summary import MOST_STOPS, Summary, Tally

TRACES = Path(os.environ.get("WAYPOST_TRACES_DIR") or Path(__file__).parents[2] / "../shared/data").resolve()
recorded = pytest.mark.skipif(
    not any(TRACES.glob("*.csv*")), reason=f"there are no recorded traces in {TRACES} (WAYPOST_TRACES_DIR names others)"
)
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
DEGREE_M = 111_195.08  # of a great circle of 6,371,008.8 m
HARARE = (-17.8, 31.05)


class At(NamedTuple):
    s: float
    latitude: float
    longitude: float
    accuracy_m: float | None = None
    speed_mps: float | None = None


def tally(fixes: Iterable[At]) -> Summary:
    of = Tally()
    for fix in fixes:
        at = NOON + timedelta(seconds=fix.s)
        of.add(at, round(fix.latitude * 1e7), round(fix.longitude * 1e7), fix.accuracy_m, fix.speed_mps)
    return of.summary()


def drive(count: int, *, begin_s: float = 0, every_s: float = 5, mps: float = 12, latitude: float = -17.8) -> list[At]:
    return [At(begin_s + n * every_s, latitude + n * every_s * mps / DEGREE_M, 31.05, 5, mps) for n in range(count)]


def parked(count: int, *, begin_s: float, every_s: float = 5, spread_m: float = 8, accuracy_m: float | None = 10,
           latitude: float = -17.8) -> list[At]:  # fmt: skip
    chance = random.Random(1)  # noqa: S311 - test data
    return [
        At(begin_s + n * every_s, latitude + chance.gauss(0, spread_m) / DEGREE_M,
           31.05 + chance.gauss(0, spread_m) / DEGREE_M, accuracy_m)
        for n in range(count)
    ]  # fmt: skip


def adds_up(found: Summary) -> bool:
    if found.since is None or found.until is None:
        return found.moving_s == found.stopped_s == found.silent_s == 0
    whole = (found.until - found.since).total_seconds()
    return math.isclose(found.moving_s + found.stopped_s + found.silent_s, whole, abs_tol=1e-3)


def test_nothing_is_nothing():
    assert tally([]) == Summary()


def test_a_drive_without_stops():
    found = tally(drive(100))
    assert found.distance_m == pytest.approx(99 * 60, rel=1e-3)
    assert (found.fixes, found.moving_s, found.stopped_s, found.silent_s) == (100, 495, 0, 0)
    assert (found.top_speed_mps, found.stops) == (12, ())


@pytest.mark.parametrize(("spread_m", "accuracy_m"), [(3, 5.0), (8, 10.0), (8, None), (40, 65.0)])
@pytest.mark.parametrize("every_s", [1, 5, 60, 250])
def test_the_jitter_of_a_parked_phone_is_no_distance(spread_m: float, accuracy_m: float | None, every_s: float):
    found = tally(parked(200, begin_s=0, every_s=every_s, spread_m=spread_m, accuracy_m=accuracy_m))
    assert found.distance_m <= 4 * spread_m
    assert found.stopped_s >= 0.9 * 199 * every_s
    assert 1 <= len(found.stops) <= 4


def test_drive_stop_drive():
    out = drive(60)
    end = out[-1]
    stood = parked(120, begin_s=end.s + 5, latitude=end.latitude)
    on = drive(60, begin_s=stood[-1].s + 5, latitude=end.latitude + 60 / DEGREE_M)
    found = tally([*out, *stood, *on])
    (stop,) = found.stops
    assert (stop.until - stop.since).total_seconds() == pytest.approx(600, abs=15)
    assert stop.latitude_e7 / 1e7 == pytest.approx(end.latitude, abs=1e-4)
    assert found.distance_m == pytest.approx(59 * 60 + 60 + 59 * 60, rel=0.01)
    assert adds_up(found)


def test_one_fix_that_is_off_does_not_end_a_stop_nor_lengthen_the_way():
    stood = parked(100, begin_s=0)
    stood[50] = At(stood[50].s, -17.81, 31.05, 10)
    found = tally(stood)
    assert len(found.stops) == 1
    assert found.distance_m < 40


def test_drifting_fixes_only_say_that_it_is_still_there():
    of, fixes = Tally(), parked(100, begin_s=0)
    for number, fix in enumerate(fixes):
        of.add(NOON + timedelta(seconds=fix.s), round(fix.latitude * 1e7), round(fix.longitude * 1e7), 10,
               9.0 if number > 12 else None, drifting=number > 12)  # fmt: skip
    found = of.summary()
    assert (found.fixes, len(found.stops), found.top_speed_mps) == (13, 1, None)
    assert found.stopped_s == pytest.approx(495, abs=1)


def test_a_silence_is_neither_moving_nor_stopped_but_where_it_stood_all_along():
    there, elsewhere = drive(20), drive(20, begin_s=95 + 3600, latitude=-17.0)
    found = tally([*there, *elsewhere])
    assert found.silent_s == 3600
    assert found.distance_m == pytest.approx(0.8 * DEGREE_M + 19 * 60, rel=0.01)
    night = tally([*parked(30, begin_s=0), *parked(30, begin_s=8 * 3600)])
    assert (night.silent_s, len(night.stops)) == (0, 1)


def test_the_speed_of_a_receiver_gone_mad_is_not_the_top():
    fixes = drive(50)
    fixes[20] = fixes[20]._replace(speed_mps=69.0)
    assert tally(fixes).top_speed_mps == 12


def test_without_reported_speeds_the_way_says_how_fast():
    found = tally(fix._replace(speed_mps=None, accuracy_m=None) for fix in drive(50))
    assert found.top_speed_mps == pytest.approx(12, rel=0.01)


def test_over_the_antimeridian_it_is_not_once_round_the_earth():
    fixes = [At(n * 5, 0, (179.99 + n * 0.0005 + 180) % 360 - 180) for n in range(40)]
    assert tally(fixes).distance_m == pytest.approx(39 * 0.0005 * DEGREE_M, rel=0.01)
    stood = tally(At(n * 5, 0, (179.99999 + n % 3 * 1e-5 + 180) % 360 - 180) for n in range(40))
    assert abs(abs(stood.stops[0].longitude_e7) - 1_800_000_000) < 1000


def test_the_stops_that_are_told_are_bounded_and_the_others_counted(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(summary, "MOST_STOPS", 3)
    fixes: list[At] = []
    for number in range(5):
        latitude = -17.8 + number * 0.01
        fixes += parked(30, begin_s=number * 1000, latitude=latitude)
    found = tally(fixes)
    assert (len(found.stops), found.stops_left_out) == (3, 2)
    assert MOST_STOPS == 1000


def test_memory_is_bounded_however_many_fixes_a_second_there_are():
    of = Tally()
    for number in range(20_000):
        of.add(NOON + timedelta(milliseconds=number), -178_000_000 + number % 2 * 20_000, 310_500_000)
        assert len(of._waiting) <= summary.MOST_WAITING
    assert adds_up(of.summary())


places = st.tuples(st.floats(-0.02, 0.02), st.floats(-0.02, 0.02))
steps = st.lists(st.tuples(st.floats(0, 400), places, st.none() | st.floats(1, 300), st.none() | st.floats(0, 70)),
                 max_size=60)  # fmt: skip


@given(steps)
def test_whatever_the_track_time_adds_up_and_nothing_is_negative(track: Sequence[tuple]):
    s, fixes = 0.0, []
    for after_s, (north, east), accuracy, speed in track:
        s += after_s
        fixes.append(At(s, HARARE[0] + north, HARARE[1] + east, accuracy, speed))
    found = tally(fixes)
    assert adds_up(found)
    assert found.fixes == len(fixes)
    assert min(found.distance_m, found.moving_s, found.stopped_s, found.silent_s) >= 0
    longest = sum(great_circle_m(a, b) for a, b in itertools.pairwise(fixes))
    assert found.distance_m <= longest + 2 * 150 * (len(found.stops) + 1), "a stop's middle may lie beside the way"
    ends = [moment for stop in found.stops for moment in (stop.since, stop.until)]
    assert ends == sorted(ends)


def great_circle_m(a: At, b: At) -> float:
    """By the law of cosines, which shares nothing with the haversine."""
    la, lb = math.radians(a.latitude), math.radians(b.latitude)
    turn = math.radians(b.longitude - a.longitude)
    cosine = math.sin(la) * math.sin(lb) + math.cos(la) * math.cos(lb) * math.cos(turn)
    return 6_371_008.8 * math.acos(min(1.0, max(-1.0, cosine)))


# Recorded tracks.


def rows(name: str) -> Iterator[Mapping[str, str]]:
    with gzip.open(TRACES / name, "rt", encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def trips(name: str) -> dict[str, list[At]]:
    found: dict[str, list[At]] = {}
    for row in rows(name):
        at = (datetime.fromisoformat(row["recorded_at"]) - NOON).total_seconds()
        accuracy, speed = (float(row[column]) if row[column] else None for column in ("accuracy_m", "speed_mps"))
        found.setdefault(row["trip_id"], []).append(
            At(at, float(row["latitude"]), float(row["longitude"]), accuracy, speed)
        )
    return {trip: sorted(fixes) for trip, fixes in found.items()}


@recorded
def test_stops_agree_with_what_people_have_labelled(capsys: pytest.CaptureFixture[str]):
    """644 delivery agents: on foot is a stop of the van. They stop for a minute and drive for 40 s, so this is hard."""
    tracks = trips("amazon-goal.csv.gz")
    labels: dict[str, list[bool]] = {}
    for row, label in zip(rows("amazon-goal.csv.gz"), rows("amazon-goal-labels.csv.gz"), strict=True):
        labels.setdefault(row["trip_id"], []).append(label["activity"] == "OnFoot")
    both = said = true = stops = found_stops = 0.0
    for trip, fixes in tracks.items():
        stood = [((s.since - NOON).total_seconds(), (s.until - NOON).total_seconds()) for s in tally(fixes).stops]
        on_foot = labels[trip]
        for begin, end, is_stop in zip(fixes, fixes[1:], on_foot[1:], strict=False):
            overlap = covered(begin.s, end.s, stood)
            both += overlap * is_stop
            said += overlap
            true += (end.s - begin.s) * is_stop
        for begin_s, end_s in labelled_stops(fixes, on_foot):
            stops += 1
            found_stops += covered(begin_s, end_s, stood) >= (end_s - begin_s) / 2
    precision, recall = both / said, both / true
    with capsys.disabled():
        sys.stdout.write(f"\nstops against labels: precision {precision:.3f}, recall {recall:.3f} of the time; "
                         f"{found_stops:.0f} of {stops:.0f} stops of a minute and more\n")  # fmt: skip
    assert precision >= 0.80
    assert recall >= 0.89
    assert found_stops / stops >= 0.97


def covered(begin_s: float, end_s: float, spans: Iterable[tuple[float, float]]) -> float:
    return sum(max(0.0, min(end_s, until) - max(begin_s, since)) for since, until in spans)


def labelled_stops(fixes: Sequence[At], on_foot: Sequence[bool]) -> Iterator[tuple[float, float]]:
    begin: int | None = None
    for number, is_stop in enumerate([*on_foot, False]):
        if is_stop and begin is None:
            begin = number
        elif not is_stop and begin is not None:
            if fixes[number - 1].s - fixes[begin].s >= summary.STOP_S:
                yield fixes[begin].s, fixes[number - 1].s
            begin = None


@recorded
@pytest.mark.parametrize("name", ["gotrack.csv.gz", "capmetro-2017-04-18.csv.gz"])
def test_the_distance_of_drives_agrees_with_a_plain_sum(name: str):
    """Of those that hardly stand: there the sum of all the ways from fix to fix is right."""
    compared = 0
    for fixes in trips(name).values():
        good = [fix for fix in fixes if fix.latitude and (fix.accuracy_m or 0) <= 200]
        plain = [(great_circle_m(a, b), b.s - a.s) for a, b in itertools.pairwise(good)]
        if len(good) < 20 or any(m > 70 * max(s, 1) for m, s in plain):
            continue
        found = tally(good)
        if found.stopped_s > 0.2 * (found.moving_s + found.stopped_s + found.silent_s):
            continue
        compared += 1
        assert found.distance_m == pytest.approx(sum(m for m, _ in plain), rel=0.06), fixes[0]
    assert compared >= 10
