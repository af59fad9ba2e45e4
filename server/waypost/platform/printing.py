"""Money, dates and counts as people of a language read them (Unicode's CLDR, by Babel)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from functools import lru_cache

from babel import Locale, UnknownLocaleError
from babel.dates import format_date, format_skeleton, format_time
from babel.numbers import format_decimal

from waypost.kernel.money import places, plain_text
from waypost.kernel.zones import zone_or_utc

ENGLISH = "en"
_NBSP = "\u00a0"
# English of nowhere in particular writes its dates as most of the world does, not as the United States do.
_WORLD = {"en": "en_001"}


@dataclass(frozen=True, slots=True)
class Print:
    """How a language of a region prints. ``language``: of the words beside it."""

    language: str
    locale: Locale

    def money(self, minor: int, currency: str) -> str:
        """With its ISO code, since a sign is that of several currencies, and all its places: "KES 1,250.00"."""
        number = format_decimal(
            Decimal(plain_text(abs(minor), currency)), format=_pattern(places(currency)), locale=self.locale
        )
        sign = "-" if minor < 0 else ""
        if _code_first(self.locale):
            return f"{sign}{currency}{_NBSP}{number}"
        return f"{sign}{number}{_NBSP}{currency}"

    def number(self, minor: int, currency: str) -> str:
        """The same without its currency, for a table that names it once."""
        number = format_decimal(
            Decimal(plain_text(abs(minor), currency)), format=_pattern(places(currency)), locale=self.locale
        )
        return f"-{number}" if minor < 0 else number

    def day(self, day: date) -> str:
        """In full: "5 December 2026"."""
        return format_date(day, "long", locale=self.locale)

    def short_day(self, day: date) -> str:
        """For tables, so that it stays on one line: "5 Dec 2026"."""
        return format_date(day, "d MMM y", locale=self.locale).replace(" ", _NBSP)

    def brief_day(self, day: date) -> str:
        """For an SMS: in figures, "06/12/2026"; in English "6 Dec 2026", since 6/12 is two days there."""
        if self.language == ENGLISH:
            return format_date(day, "d MMM y", locale=self.locale)
        return format_skeleton("yMd", datetime.combine(day, time()), locale=self.locale)

    def moment(self, at: datetime, time_zone: str) -> str:
        """The day and the time of day there: "5 December 2026, 14:05"."""
        local = at.astimezone(zone_or_utc(time_zone))
        return f"{self.day(local.date())}, {format_time(local.time(), 'HH:mm', locale=self.locale)}"

    def day_there(self, at: datetime, time_zone: str) -> date:
        """The day that it is there at that moment."""
        return at.astimezone(zone_or_utc(time_zone)).date()

    def country(self, code: str) -> str:
        """Of an ISO 3166 code: "South Africa"; the code itself where the language has no name for it."""
        return str(self.locale.territories.get(code, code))

    def decimal(self, value: Decimal) -> str:
        """A plain number with no more places than it has, three at most."""
        return str(format_decimal(value, format="#,##0.###", locale=self.locale))

    def percent(self, basis_points: int) -> str:
        """Of hundredths of a percent, no more places than needed: "1.5%"."""
        return str(format_decimal(Decimal(basis_points) / 100, format="0.##", locale=self.locale)) + (
            "%" if self.language == ENGLISH else f"{_NBSP}%"
        )

    def plural(self, count: int, one: str, other: str, **more: str) -> str:
        """``one`` or ``other``, as the language counts (French has one for nought, too); ``more``: what else it has,
        by CLDR's names: zero, two, few, many.
        """
        form = self.locale.plural_form(count)
        return one if form == "one" else more.get(form, other)


def _pattern(digits: int) -> str:
    return "#,##0" + ("." + "0" * digits if digits else "")


@lru_cache(maxsize=200)
def _code_first(locale: Locale) -> bool:
    return str(locale.currency_formats["standard"].pattern).lstrip().startswith("¤")


def chain(tag: str | None) -> list[str]:
    """A BCP 47 tag and what it falls back to: fr-CD -> fr-CD, fr, en. Case and underscores do not matter."""
    parts = [part for part in (tag or "").replace("_", "-").split("-") if part]
    tags = ["-".join([parts[0].lower(), *parts[1:end]]) for end in range(len(parts), 0, -1)]
    return tags if ENGLISH in tags else [*tags, ENGLISH]


def language_for(tag: str | None, there: Iterable[str]) -> str:
    """The first language of the tag's chain for which there are words."""
    known = set(there)
    return next((each for each in chain(tag) if each in known), ENGLISH)


@lru_cache(maxsize=500)
def print_for(tag: str | None, language: str) -> Print:
    """How to print beside words of ``language`` for who asked for ``tag``: as their region does, if known."""
    for each in chain(tag):
        if each.partition("-")[0] == language:
            try:
                return Print(language, Locale.parse(_WORLD.get(each, each).replace("_", "-"), sep="-"))
            except (UnknownLocaleError, ValueError):
                continue
    return Print(language, Locale.parse(_WORLD.get(language, language)))
