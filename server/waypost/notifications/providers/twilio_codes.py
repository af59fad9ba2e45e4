"""Twilio's codes and what each means for a message. The codes are those of the reference (notifications, section 7) and
of https://www.twilio.com/docs/api/errors.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from waypost.notifications.states import OutcomeKind


@dataclass(frozen=True, slots=True)
class Meaning:
    """``kind``: of an answer to a request, or of a message that failed at once; ``hard`` and ``suppress``: as in
    ``Report``, for a receipt; ``provider_failed`` and ``elsewhere``: as in ``Outcome``.
    """

    reason: str
    kind: OutcomeKind
    provider_failed: bool = False
    elsewhere: bool = False
    suppress: str | None = None
    hard: bool | None = None


def _ours(reason: str) -> Meaning:
    """Something of the account or of its settings: put right, the message goes out."""
    return Meaning(reason, OutcomeKind.NOT_SENT, provider_failed=True)


def _later(reason: str) -> Meaning:
    return Meaning(reason, OutcomeKind.NOT_SENT)


def _refused(reason: str, *, elsewhere: bool = False, suppress: str | None = None, hard: bool | None = None) -> Meaning:
    return Meaning(reason, OutcomeKind.REFUSED, elsewhere=elsewhere, suppress=suppress, hard=hard)


_CREDENTIALS, _RATE = _ours("twilio_credentials"), _later("twilio_rate")
_BAD_NUMBER = _refused("twilio_bad_number", suppress="bad_address")
_REGION = _refused("twilio_region", elsewhere=True)
_SENDER = _ours("twilio_sender")
_BAD_TEXT = _refused("twilio_text")
_FILTERED = _refused("twilio_filtered", elsewhere=True)

CODES: Final[Mapping[int, Meaning]] = MappingProxyType({
    20003: _CREDENTIALS,
    20005: _ours("twilio_account_off"),
    20008: _ours("twilio_test_credentials"),
    20403: _CREDENTIALS,
    20404: _ours("twilio_account_unknown"),
    20429: _RATE,
    429: _RATE,
    30001: _RATE,
    14107: _RATE,
    30022: _RATE,
    63038: _later("twilio_daily_limit"),
    30002: _ours("twilio_account_off"),
    21211: _BAD_NUMBER,
    21614: _BAD_NUMBER,
    21408: _REGION,
    21612: _refused("twilio_no_route", elsewhere=True),
    21635: _refused("twilio_landline", suppress="bad_address"),
    21610: _refused("twilio_opted_out", suppress="opted_out"),
    21212: _SENDER,
    21606: _SENDER,
    21603: _SENDER,
    21608: _ours("twilio_trial"),
    21611: _RATE,
    21659: _SENDER,
    21660: _SENDER,
    21701: _SENDER,
    21703: _SENDER,
    21705: _SENDER,
    21602: _BAD_TEXT,
    21604: _BAD_NUMBER,
    21605: _BAD_TEXT,
    21617: _BAD_TEXT,
    21609: _ours("twilio_report_address"),
    30003: _refused("twilio_off"),
    30004: _refused("twilio_blocked"),
    30005: _refused("twilio_unknown_number", hard=False),
    30006: _refused("twilio_landline", hard=False),
    30007: _FILTERED,
    30008: _refused("twilio_unknown"),
    30010: _refused("twilio_price"),
    30032: _ours("twilio_sender_unverified"),
    30034: _ours("twilio_sender_unregistered"),
    30036: _refused("twilio_expired"),
})  # fmt: skip
