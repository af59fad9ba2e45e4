"""How a device is heard of, and why it is not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.clock import NOON
from waypost.tracking.domain import Flag, Reason
from waypost.tracking.silence import (
    LONGEST_SILENCE,
    SHORTEST_SILENCE,
    Because,
    Code,
    Heard,
    Judged,
    Signal,
    State,
    clock_time,
    duration,
    judge,
    missed_after,
    sentence,
)

HARARE = ZoneInfo("Africa/Harare")


def ago(seconds: float) -> datetime:
    return NOON - timedelta(seconds=seconds)


def heard(seconds_ago: float = 2, **facts: Any) -> Heard:
    """A device on a trip whose last fix came so long ago, fresh and good, as it drove."""
    at = ago(seconds_ago)
    usual = {
        "created_at": ago(86_400),
        "trip_started_at": ago(3600),
        "heard_at": at,
        "every_s": 5.0,
        "stored_at": at,
        "fix_at": at,
        "delay_s": 1.0,
        "position_at": at,
        "speed_mps": 13.0,
        "battery_pct": 80.0,
    }
    return Heard(**{**usual, **facts})


def told(device: Heard) -> tuple[State, str | None]:
    judged = judge(device, NOON)
    return judged.state, sentence(judged, NOON, HARARE)


def test_who_reports_is_live_and_nothing_is_to_be_said():
    assert judge(heard(), NOON) == Judged(State.LIVE)
    assert told(heard()) == (State.LIVE, None)


def test_silence_is_known_within_a_minute_and_says_the_battery():
    device = heard(battery_pct=4.0, heard_at=ago(50), stored_at=ago(50))
    assert judge(device, NOON) == Judged(State.SILENT, ago(50), Because(Code.BATTERY, battery_pct=4.0))
    assert told(device) == (State.SILENT, "silent since 13:59, battery 4 %")
    assert judge(heard(40, battery_pct=4.0), NOON).state is State.LIVE


def test_late_fixes_are_the_networks():
    assert told(heard(delay_s=90.0)) == (State.LATE, "network: fixes arrive 90 s late")
    assert judge(heard(delay_s=59.0), NOON).state is State.LIVE
    assert told(heard(600, delay_s=600.0)) == (State.SILENT, "silent since 13:50, network: fixes arrive 10 min late")


@pytest.mark.parametrize(
    ("device", "state", "code"),
    [
        (Heard(created_at=NOON), State.NEVER, Code.NEVER_HEARD),
        (Heard(created_at=NOON, last_seen_at=ago(30)), State.NEVER, Code.NO_FIX_YET),
        (Heard(created_at=NOON, heard_at=ago(5)), State.NEVER, Code.NO_FIX_YET),
        (heard(revoked_at=ago(60)), State.SILENT, Code.TOKEN_WITHDRAWN),
        (Heard(created_at=ago(60), revoked_at=ago(5)), State.SILENT, Code.TOKEN_WITHDRAWN),
        (heard(120, old_token_until=ago(115)), State.SILENT, Code.TOKEN_ENDED),
        (heard(120, old_token_until=ago(-500)), State.SILENT, Code.NO_CONTACT),
        (heard(7200, old_token_until=ago(60)), State.SILENT, Code.NO_CONTACT),
        (heard(120, signal=Signal.LOST, signal_at=ago(120)), State.SILENT, Code.APP_STOPPED),
        (heard(5, signal=Signal.STOPPED, signal_at=ago(5)), State.SILENT, Code.APP_STOPPED),
        (heard(5, signal=Signal.LOST, signal_at=ago(20)), State.LIVE, None),
        (heard(5, signal="greeting", signal_at=ago(5)), State.LIVE, None),
        (heard(5, signal=Signal.LOCATION_OFF, signal_at=ago(5)), State.SILENT, Code.LOCATION_OFF),
        (heard(300, last_seen_at=ago(20)), State.SILENT, Code.NO_LOCATIONS),
        (heard(3, stored_at=ago(900)), State.SILENT, Code.NO_LOCATIONS),
        (heard(3, stored_at=ago(900), speed_mps=0.0), State.PARKED, Code.PARKED),
        (heard(3, rejected_at=ago(3), reason=Reason.FUTURE, stored_at=ago(60)), State.SILENT, Code.CLOCK_AHEAD),
        (heard(3, rejected_at=ago(3), reason=Reason.TOO_OLD, stored_at=ago(60)), State.SILENT, Code.TOO_OLD),
        (heard(3, rejected_at=ago(3), reason=Reason.ZERO_ISLAND, stored_at=ago(60)), State.SILENT, Code.NO_GPS),
        (heard(3, rejected_at=ago(3), reason=Reason.MALFORMED, stored_at=ago(60)), State.SILENT, Code.REFUSED),
        (heard(3, rejected_at=ago(3), reason="undecryptable", stored_at=ago(60)), State.SILENT, Code.REFUSED),
        (heard(3, rejected_at=ago(3), reason=Reason.ZERO_ISLAND), State.LIVE, None),
        (heard(300, rejected_at=ago(300), reason=Reason.FUTURE, stored_at=None), State.SILENT, Code.CLOCK_AHEAD),
        (heard(3, doubts=int(Flag.POOR_ACCURACY)), State.SILENT, Code.POOR_ACCURACY),
        (heard(3, doubts=int(Flag.POOR_ACCURACY), position_at=None), State.NEVER, Code.POOR_ACCURACY),
        (heard(3, doubts=int(Flag.DRIFT), position_at=None), State.NEVER, Code.DOUBTFUL),
        (heard(3, doubts=int(Flag.MOCK)), State.SILENT, Code.DOUBTFUL),
        (heard(3, doubts=int(Flag.DRIFT)), State.PARKED, Code.PARKED),
        (heard(300, doubts=int(Flag.POOR_ACCURACY)), State.SILENT, Code.POOR_ACCURACY),
        (heard(300), State.SILENT, Code.NO_CONTACT),
        (heard(300, speed_mps=0.2), State.PARKED, Code.PARKED),
        (heard(3600, speed_mps=0.2), State.SILENT, Code.NO_CONTACT),
        (heard(3600, speed_mps=0.2, trip_started_at=None), State.PARKED, Code.PARKED),
        (heard(3600, speed_mps=None, trip_started_at=None), State.PARKED, Code.PARKED),
        (heard(300, speed_mps=None), State.SILENT, Code.NO_CONTACT),
    ],
)
def test_each_cause_is_told_by_what_was_last_known(device: Heard, state: State, code: Code | None):
    judged = judge(device, NOON)
    assert (judged.state, judged.because.code if judged.because else None) == (state, code)


def test_who_reports_seldom_is_missed_later_and_nobody_after_more_than_ten_minutes():
    assert missed_after(heard(every_s=None)) == SHORTEST_SILENCE == timedelta(seconds=45)
    assert missed_after(heard(every_s=60.0)) == timedelta(minutes=3)
    assert missed_after(heard(every_s=900.0)) == LONGEST_SILENCE == timedelta(minutes=10)
    assert judge(heard(170, every_s=60.0), NOON).state is State.LIVE
    assert judge(heard(190, every_s=60.0), NOON).state is State.SILENT


def test_a_clock_that_is_ahead_is_told_by_how_much():
    device = heard(3, rejected_at=ago(3), reason="future", ahead_s=1200.0, stored_at=None, position_at=ago(240))
    assert told(device) == (
        State.SILENT,
        "silent since 13:56, its clock is 20 min ahead, so its locations are refused as in the future",
    )


def test_refused_from_the_first_is_never_heard_of_with_a_reason():
    device = Heard(created_at=NOON, heard_at=ago(3), rejected_at=ago(3), reason="zero_island")
    assert told(device) == (State.NEVER, "GPS: its receiver has no fix, it reports 0,0")


def test_doubts_are_named():
    device = heard(3, doubts=int(Flag.MOCK | Flag.SPEED_JUMP), position_at=ago(60))
    assert told(device) == (State.SILENT, "silent since 13:59, its locations are doubted: speed_jump, mock")


def test_parked_says_since_when_and_no_more():
    assert told(heard(300, speed_mps=0.0)) == (State.PARKED, "parked since 13:55")


@pytest.mark.parametrize(
    ("moment", "zone", "text"),
    [
        (NOON - timedelta(minutes=5), "UTC", "11:55"),
        (NOON - timedelta(minutes=5), "Asia/Kathmandu", "17:40"),
        (NOON - timedelta(hours=13), "UTC", "21 Nov 23:00"),
        (NOON - timedelta(hours=13), "Africa/Harare", "01:00"),  # today there
        (datetime(2025, 12, 31, 23, 30, tzinfo=UTC), "UTC", "31 Dec 2025 23:30"),
    ],
)
def test_times_go_by_the_organisations_clocks(moment: datetime, zone: str, text: str):
    assert clock_time(moment, NOON, ZoneInfo(zone)) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (90, "90 s"), (119.4, "119 s"), (120, "2 min"), (7199, "119 min"), (7200, "2 h"), (172_799, "47 h"),
     (172_800, "2 days"), (-1200, "20 min")],
)  # fmt: skip
def test_durations_read_as_people_say_them(seconds: float, text: str):
    assert duration(seconds) == text


moments = st.none() | st.floats(min_value=-600, max_value=200_000).map(ago)
amounts = st.none() | st.floats(min_value=0, max_value=100_000)


@given(
    st.builds(
        Heard,
        created_at=st.just(ago(200_000)),
        revoked_at=moments,
        old_token_until=moments,
        last_seen_at=moments,
        trip_started_at=moments,
        position_at=moments,
        speed_mps=amounts,
        heard_at=moments,
        every_s=amounts,
        stored_at=moments,
        doubts=st.integers(min_value=0, max_value=31),
        fix_at=moments,
        delay_s=amounts,
        battery_pct=st.none() | st.floats(min_value=0, max_value=100),
        reason=st.none() | st.sampled_from([*Reason, "other"]),
        rejected_at=moments,
        ahead_s=amounts,
        signal=st.none() | st.sampled_from([*Signal, "other"]),
        signal_at=moments,
    )
)
def test_whatever_is_known_there_is_one_verdict_and_who_is_not_live_gets_a_cause(device: Heard):
    judged = judge(device, NOON)
    assert (judged.because is None) == (judged.state is State.LIVE)
    assert (sentence(judged, NOON, HARARE) is None) == (judged.state is State.LIVE)
    if judged.state in (State.SILENT, State.PARKED):
        assert judged.since is not None
    else:
        assert judged.since is None
