"""Twilio's own lists of messages: to a number, of a day, and one by its id. Pure.

Source: https://www.twilio.com/docs/messaging/api/message-resource (read multiple messages, fetch a message).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final
from urllib.parse import quote, urlencode, urlsplit

from waypost.notifications.providers.accounts import TwilioConfig
from waypost.notifications.providers.exchange import Answer, Ask, number, object_of, word
from waypost.notifications.providers.reports import Report
from waypost.notifications.providers.twilio import credentials, report_of, root

PAGE_SIZE: Final = 200
MOST_BYTES: Final = 2**22  # of a page: a message of ten parts takes some 3 KiB
OK, NOT_FOUND = 200, 404
NO_SUCH: Final = 20404  # in Twilio's own words; any other page may say 404 too
NEVER_SENT: Final = frozenset({"failed", "canceled"})  # it has these in its lists as well
OUTBOUND: Final = "outbound"


@dataclass(frozen=True, slots=True)
class Found:
    """A message as Twilio lists it. ``report``: what its status says, with its id."""

    report: Report
    to: str
    text: str
    created_at: datetime
    is_outbound: bool = True

    @property
    def sid(self) -> str:
        return self.report.reference


@dataclass(frozen=True, slots=True)
class DayPage:
    """Of a day's messages. ``following``: where the next page is, None: this was the last."""

    found: Sequence[Found]
    following: str | None


class NotThere:
    """The account has no such message."""


def look_up(config: TwilioConfig, to: str) -> Ask:
    """The newest messages to a number."""
    return _listing(config, {"To": to, "PageSize": PAGE_SIZE})


def day(config: TwilioConfig, of: date, page: str | None = None) -> Ask:
    """What was sent on a day (UTC). ``page``: as the page before it named it."""
    if page is None:
        return _listing(config, {"DateSent": of.isoformat(), "PageSize": PAGE_SIZE})
    own = f"{root(config)}.json"
    return Ask("GET", f"{own}?{urlsplit(page).query}", credentials(config))  # never to another place than its own


def message(config: TwilioConfig, sid: str) -> Ask:
    """One message."""
    return Ask("GET", f"{root(config)}/{quote(sid, safe='')}.json", credentials(config))


def read_look_up(answer: Answer) -> tuple[Sequence[Found], bool] | None:
    """Newest first, and whether there are older ones that it does not show; None: it could not be read."""
    page = read_day(answer)
    return (page.found, page.following is not None) if page is not None else None


def read_day(answer: Answer) -> DayPage | None:
    """A page; None: it could not be read."""
    body = object_of(answer.body) if answer.status == OK else None
    rows = body.get("messages") if body is not None else None
    if body is None or not isinstance(rows, list):
        return None
    found = [_found(row) for row in rows if isinstance(row, dict)]
    known = [each for each in found if each is not None]
    following = body.get("next_page_uri")
    return DayPage(known, str(following) if following else None) if len(known) == len(rows) else None


def read_message(answer: Answer) -> Found | NotThere | None:
    """None: it does not say."""
    body = object_of(answer.body) or {}
    if answer.status == NOT_FOUND and number(body.get("code")) == NO_SUCH:
        return NotThere()
    return _found(body) if answer.status == OK else None


def _listing(config: TwilioConfig, fields: Mapping[str, object]) -> Ask:
    return Ask("GET", f"{root(config)}.json?{urlencode(fields)}", credentials(config))


def _found(row: Mapping[str, Any]) -> Found | None:
    try:
        created_at = parsedate_to_datetime(word(row.get("date_created")))
    except ValueError:
        return None
    created_at = created_at if created_at.tzinfo is not None else created_at.replace(tzinfo=UTC)
    sid, status, text = word(row.get("sid")), word(row.get("status")).lower(), row.get("body")
    if not sid or not isinstance(text, str):
        return None
    to, direction = word(row.get("to")), word(row.get("direction")) or OUTBOUND
    report = report_of(sid, status, number(row.get("error_code")), to)
    return Found(report, to, text, created_at, direction.startswith(OUTBOUND))
