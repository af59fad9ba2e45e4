"""How a paper takes its words: in one language and one currency, with money and dates as its reader has them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

from waypost.platform.printing import Print, language_for, print_for

Languages = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Pen:
    """``words``: of the paper, by name; ``time_zone``: of the shop."""

    words: Mapping[str, str]
    how: Print
    currency: str
    time_zone: str

    def say(self, name: str, /, **values: str) -> str:
        """The words called ``name``. Values are put in as they are: what looks like a place in them stays text."""
        return self.words[name].format(**values)

    def count(self, name: str, count: int, /, **values: str) -> str:
        """``name_one`` or ``name_other``, as the language counts."""
        return self.say(f"{name}_{self.how.plural(count, 'one', 'other')}", **values)

    def money(self, minor: int) -> str:
        return self.how.money(minor, self.currency)

    def number(self, minor: int) -> str:
        return self.how.number(minor, self.currency)

    def day(self, day: date) -> str:
        return self.how.day(day)

    def short_day(self, day: date) -> str:
        return self.how.short_day(day)

    def day_of(self, at: datetime) -> date:
        """The day that it was where the shop is."""
        return self.how.day_there(at, self.time_zone)


def pen_for(languages: Languages, tag: str | None, currency: str, time_zone: str) -> Pen:
    """A pen in the nearest language to ``tag`` (BCP 47) that there are words in."""
    language = language_for(tag, languages)
    return Pen(languages[language], print_for(tag, language), currency, time_zone)
