"""The words of papers, and how a paper takes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

from waypost.laybys.documents import words_en, words_fr
from waypost.platform.printing import Print, language_for, print_for

LANGUAGES: Mapping[str, Mapping[str, str]] = {"en": words_en.WORDS, "fr": words_fr.WORDS}


@dataclass(frozen=True, slots=True)
class Pen:
    """Writes a paper's words in one language and one currency, with money and dates as its reader has them."""

    words: Mapping[str, str]
    how: Print
    currency: str
    time_zone: str

    def say(self, name: str, **values: str) -> str:
        """The words called ``name``. Values are put in as they are: what looks like a place in them stays text."""
        return self.words[name].format(**values)

    def count(self, name: str, count: int, **values: str) -> str:
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


def pen_for(tag: str | None, currency: str, time_zone: str) -> Pen:
    """A pen in the nearest language to ``tag`` (BCP 47) that there are words in."""
    language = language_for(tag, LANGUAGES)
    return Pen(LANGUAGES[language], print_for(tag, language), currency, time_zone)
