"""Pure rules: whether a device is heard of as it should be, and if not, why that is most likely so."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from waypost.tracking.domain import Flag, Reason, flag_names

# Who is heard of every few seconds is missed after 45 s; who reports seldom, after three times as long as usual.
SHORTEST_SILENCE = timedelta(seconds=45)
LONGEST_SILENCE = timedelta(minutes=10)
MISSED_TIMES = 3
LATE_S = 60.0
LOW_BATTERY_PCT = 15.0
STANDING_MPS = 1.0
# An app that sleeps while its phone lies still says nothing; on a trip that is believed for so long.
STANDING_ON_A_TRIP = timedelta(minutes=30)
# last_seen_at of a device is written once a minute.
CONNECTED_LATELY = timedelta(seconds=150)
AT_ITS_END = timedelta(minutes=10)


class State(StrEnum):
    """How a device is heard of."""

    LIVE = "live"
    LATE = "late"
    SILENT = "silent"
    PARKED = "parked"
    NEVER = "never"


class Code(StrEnum):
    """Why it is not live."""

    NEVER_HEARD = "never_heard"
    NO_FIX_YET = "no_fix_yet"
    TOKEN_WITHDRAWN = "token_withdrawn"  # noqa: S105 - no secret
    TOKEN_ENDED = "token_ended"  # noqa: S105
    APP_STOPPED = "app_stopped"
    LOCATION_OFF = "location_off"
    BATTERY = "battery"
    CLOCK_AHEAD = "clock_ahead"
    TOO_OLD = "too_old"
    NO_GPS = "no_gps"
    REFUSED = "refused"
    POOR_ACCURACY = "poor_accuracy"
    DOUBTFUL = "doubtful"
    NO_LOCATIONS = "no_locations"
    NETWORK = "network"
    PARKED = "parked"
    NO_CONTACT = "no_contact"


class Signal(StrEnum):
    """What an app says of itself beside locations."""

    LOST = "lwt"  # its last will, or its connection ended
    STOPPED = "stopped"  # somebody or the phone ended it
    LOCATION_OFF = "location_off"  # the phone's location service, or the app's right to it


@dataclass(frozen=True, slots=True)
class Heard:
    """What is known of a device, beside its name. ``position_at``, ``speed_mps``: of its newest good fix;
    ``trip_started_at``: of the trip that its driver runs; the rest as the columns of ``device_quality``.
    """

    created_at: datetime
    revoked_at: datetime | None = None
    old_token_until: datetime | None = None
    last_seen_at: datetime | None = None
    trip_started_at: datetime | None = None
    position_at: datetime | None = None
    speed_mps: float | None = None
    heard_at: datetime | None = None
    every_s: float | None = None
    stored_at: datetime | None = None
    doubts: int = 0
    fix_at: datetime | None = None
    delay_s: float | None = None
    battery_pct: float | None = None
    reason: str | None = None
    rejected_at: datetime | None = None
    ahead_s: float | None = None
    signal: str | None = None
    signal_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Because:
    """A cause, and what it is told with: percent, seconds, a reason's or flags' names."""

    code: Code
    battery_pct: float | None = None
    seconds: float | None = None
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Judged:
    """``since``: when it was last as it should be; None while it is (live, late), or never was."""

    state: State
    since: datetime | None = None
    because: Because | None = None


def judge(heard: Heard, now: datetime) -> Judged:
    """How a device is heard of at ``now``."""
    if heard.revoked_at is not None:
        since = min(heard.heard_at or heard.revoked_at, heard.revoked_at)
        return Judged(State.SILENT, since, Because(Code.TOKEN_WITHDRAWN))
    if heard.heard_at is None:
        code = Code.NEVER_HEARD if heard.last_seen_at is None else Code.NO_FIX_YET
        return Judged(State.NEVER, None, Because(code))
    if now - heard.heard_at > missed_after(heard):
        return _quiet(heard, heard.heard_at, now)
    return _present(heard, heard.heard_at, now)


def missed_after(heard: Heard) -> timedelta:
    """For how long nothing may come before that is a silence."""
    usual = timedelta(seconds=MISSED_TIMES * (heard.every_s or 0.0))
    return min(max(usual, SHORTEST_SILENCE), LONGEST_SILENCE)


def _quiet(heard: Heard, heard_at: datetime, now: datetime) -> Judged:
    """Nothing comes any more: what was last known says why."""
    cause = next(_causes_of_silence(heard, heard_at, now))
    if cause.code is Code.PARKED:
        return Judged(State.PARKED, heard.position_at, cause)
    return Judged(State.SILENT, heard_at, cause)


def _causes_of_silence(heard: Heard, heard_at: datetime, now: datetime) -> Iterator[Because]:
    """The most likely first; never empty."""
    ended = heard.old_token_until
    if ended is not None and heard_at <= ended <= min(now, heard_at + AT_ITS_END):
        yield Because(Code.TOKEN_ENDED)
    if heard.signal_at is not None and heard.signal_at >= heard_at and (cause := _said(heard.signal)):
        yield cause
    if heard.battery_pct is not None and heard.battery_pct <= LOW_BATTERY_PCT:
        yield Because(Code.BATTERY, battery_pct=heard.battery_pct)
    if heard.last_seen_at is not None and now - heard.last_seen_at < CONNECTED_LATELY < now - heard_at:
        yield Because(Code.NO_LOCATIONS)
    if is_refused(heard):
        yield _refused(heard)
    if _stands(heard) and (heard.trip_started_at is None or now - heard_at <= STANDING_ON_A_TRIP):
        yield Because(Code.PARKED)
    if _is_late(heard):
        yield Because(Code.NETWORK, seconds=heard.delay_s)
    if heard.doubts:
        yield _doubted(heard.doubts)
    yield Because(Code.NO_CONTACT)


def _present(heard: Heard, heard_at: datetime, now: datetime) -> Judged:
    """Something comes: are they locations, are they good, are they fresh?"""
    since = heard.position_at
    if heard.signal_at is not None and heard.signal_at >= heard_at and (cause := _said(heard.signal)):
        return Judged(State.SILENT, since or heard_at, cause)
    if is_refused(heard):
        return _withheld(since, _refused(heard))
    if heard.stored_at is None:
        return Judged(State.NEVER, None, Because(Code.NO_FIX_YET))
    if now - heard.stored_at > missed_after(heard):
        if _stands(heard):
            return Judged(State.PARKED, since, Because(Code.PARKED))
        return _withheld(since, Because(Code.NO_LOCATIONS))
    if heard.doubts == Flag.DRIFT and since is not None:
        return Judged(State.PARKED, since, Because(Code.PARKED))
    if heard.doubts:
        return _withheld(since, _doubted(heard.doubts))
    if _is_late(heard):
        return Judged(State.LATE, None, Because(Code.NETWORK, seconds=heard.delay_s))
    return Judged(State.LIVE)


def _withheld(since: datetime | None, cause: Because) -> Judged:
    """Nothing of it is good enough to be shown, since then or ever."""
    return Judged(State.NEVER if since is None else State.SILENT, since, cause)


def is_refused(heard: Heard) -> bool:
    """Whatever came since the last stored fix was rejected."""
    return heard.rejected_at is not None and (heard.stored_at is None or heard.rejected_at > heard.stored_at)


def _refused(heard: Heard) -> Because:
    if heard.reason == Reason.FUTURE:
        return Because(Code.CLOCK_AHEAD, seconds=heard.ahead_s)
    if heard.reason == Reason.TOO_OLD:
        return Because(Code.TOO_OLD)
    if heard.reason == Reason.ZERO_ISLAND:
        return Because(Code.NO_GPS)
    return Because(Code.REFUSED, names=(heard.reason or Reason.MALFORMED,))


def _doubted(doubts: int) -> Because:
    if doubts & Flag.POOR_ACCURACY:
        return Because(Code.POOR_ACCURACY)
    return Because(Code.DOUBTFUL, names=tuple(flag_names(Flag(doubts))))


def _said(signal: str | None) -> Because | None:
    if signal == Signal.LOCATION_OFF:
        return Because(Code.LOCATION_OFF)
    return Because(Code.APP_STOPPED) if signal in (Signal.LOST, Signal.STOPPED) else None


def _is_late(heard: Heard) -> bool:
    return heard.delay_s is not None and heard.delay_s >= LATE_S


def _stands(heard: Heard) -> bool:
    """When last seen it stood; where the app tells no speed, who is on no trip is taken to."""
    if heard.position_at is None:
        return False
    if heard.speed_mps is None:
        return heard.trip_started_at is None
    return heard.speed_mps < STANDING_MPS


def sentence(judged: Judged, now: datetime, zone: ZoneInfo) -> str | None:
    """The judgement for people, by the clocks of ``zone``; None where there is nothing to say."""
    if judged.because is None:
        return None
    cause = _words(judged.because)
    if judged.since is None:
        return cause
    word = "parked" if judged.state is State.PARKED else "silent"
    since = f"{word} since {clock_time(judged.since, now, zone)}"
    return since if judged.because.code is Code.PARKED else f"{since}, {cause}"


def _words(because: Because) -> str:
    match because.code:
        case Code.BATTERY:
            return f"battery {because.battery_pct:g} %"
        case Code.NETWORK:
            return f"network: fixes arrive {duration(because.seconds or 0)} late"
        case Code.CLOCK_AHEAD if because.seconds is not None:
            return f"its clock is {duration(because.seconds)} ahead, so its locations are refused as in the future"
        case Code.REFUSED:
            return f"its locations are refused: {', '.join(because.names)}"
        case Code.DOUBTFUL:
            return f"its locations are doubted: {', '.join(because.names)}"
        case code:
            return WORDS[code]


WORDS = {
    Code.NEVER_HEARD: "never heard of: the token was not used yet",
    Code.NO_FIX_YET: "connected, but no location has come yet: GPS off, or no right to it",
    Code.TOKEN_WITHDRAWN: "its token was withdrawn",
    Code.TOKEN_ENDED: "its old token ended, and the new one was not typed in",
    Code.APP_STOPPED: "the app said that it was stopped or lost its connection",
    Code.LOCATION_OFF: "location is switched off on the phone",
    Code.CLOCK_AHEAD: "its clock is ahead, so its locations are refused as in the future",
    Code.TOO_OLD: "its locations are refused as too old: a wrong clock, or a very old backlog",
    Code.NO_GPS: "GPS: its receiver has no fix, it reports 0,0",
    Code.POOR_ACCURACY: "GPS: the last fixes have poor accuracy",
    Code.NO_LOCATIONS: "it is heard of, but sends no locations: GPS off, or no right to it",
    Code.PARKED: "parked",
    Code.NO_CONTACT: "no contact: no network, app closed or phone off",
}


def duration(seconds: float) -> str:
    """As people say it: 90 s, 20 min, 5 h, 3 days."""
    whole = round(abs(seconds))
    for limit, unit, name in ((120, 1, "s"), (7200, 60, "min"), (172_800, 3600, "h")):
        if whole < limit:
            return f"{whole // unit} {name}"
    return f"{whole // 86_400} days"


def clock_time(moment: datetime, now: datetime, zone: ZoneInfo) -> str:
    """12:04 if that was today there, else with the date, and the year where it is another."""
    then, today = moment.astimezone(zone), now.astimezone(zone)
    if then.date() == today.date():
        return f"{then:%H:%M}"
    year = "" if then.year == today.year else f" {then.year}"
    return f"{then.day} {then:%b}{year} {then:%H:%M}"
