"""A notice's words: one plain text for each kind and language; its HTML is the same text, escaped, in one layout.

The first line of a template is the subject. Facts are data, never templates: Jinja's sandbox runs only our own files,
a fact that a template asks for and the notice lacks is an error, not an empty place, and no fact begins a new line.
Money and dates are plain values in the facts; filters print them as the customer's language and region do.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
from jinja2 import FileSystemLoader, StrictUndefined, TemplateRuntimeError, pass_context
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

from waypost.notifications.addresses import one_line
from waypost.notifications.domain import Text
from waypost.platform.printing import Print, language_for, print_for

TEMPLATES = Path(__file__).absolute().parent / "templates"
VERSION = 2
LONGEST_SUBJECT = 150
LAYOUT = "layout.html"


@dataclass(frozen=True, slots=True)
class Renderer:
    """The templates of this installation."""

    plain: ImmutableSandboxedEnvironment
    escaped: ImmutableSandboxedEnvironment
    folder: Path

    def render(self, kind: str, locale: str, facts: Mapping[str, str]) -> Text:
        """In the language of ``locale`` (a BCP 47 tag) or the nearest that there are words in.

        ``jinja2.TemplateError`` when there is no such template, or a fact is missing or not what a filter needs.
        """
        language = language_for(locale, self.languages(kind))
        name = f"{kind}/{language}.txt"
        known = {**facts, _PRINT: print_for(locale, language), "language": language}
        subject, _, body = self.plain.get_template(name).render(known).strip().partition("\n")
        paragraphs = [each.strip().splitlines() for each in re.split(r"\n\s*\n", body.strip()) if each.strip()]
        text = "\n\n".join("\n".join(line.rstrip() for line in lines) for lines in paragraphs)
        html = self.escaped.get_template(LAYOUT).render(locale=language, paragraphs=paragraphs)
        return Text(f"{name}@{VERSION}", one_line(subject, LONGEST_SUBJECT), text, html)

    def languages(self, kind: str) -> list[str]:
        """Those that there are words in for a kind."""
        return sorted(path.stem for path in (self.folder / kind).glob("*.txt"))


_PRINT = "_print"
_BREAKS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


def _flat(value: object) -> object:
    """What goes into a line stays in it: an item's name cannot begin a line of its own."""
    return _BREAKS.sub(" ", value) if isinstance(value, str) else value


def _print(context: Context) -> Print:
    how = context.resolve(_PRINT)
    if not isinstance(how, Print):  # a mistake of ours
        raise TemplateRuntimeError("no printer")
    return how


def _filter(make: Callable[..., Any]) -> Callable[..., Any]:
    """A value that a filter cannot use is an error of the notice, as a missing one is."""

    @pass_context
    def checked(context: Context, value: object, *rest: Any) -> Any:
        try:
            return make(_print(context), str(value), *rest)
        except (ValueError, msgspec.DecodeError) as error:
            raise TemplateRuntimeError(f"a fact is not what its filter needs: {type(error).__name__}") from error

    return checked


def _money(how: Print, minor: str, currency: str) -> str:
    return how.money(int(minor), currency)


def _day(how: Print, day: str) -> str:
    return how.day(date.fromisoformat(day))


def _percent(how: Print, basis_points: str) -> str:
    return how.percent(int(basis_points))


def _plural(how: Print, count: str, one: str, other: str) -> str:
    return how.plural(int(count), one, other)


def _rows(_how: Print, text: str) -> list[dict[str, str]]:
    return msgspec.json.decode(text, type=list[dict[str, str]])


FILTERS: Mapping[str, Callable[..., Any]] = {
    "money": _money,
    "day": _day,
    "percent": _percent,
    "plural": _plural,
    "rows": _rows,
}


def renderer(folder: Path = TEMPLATES) -> Renderer:
    """Reads each template when it is first used."""

    def environment(*, escape: bool) -> ImmutableSandboxedEnvironment:
        made = ImmutableSandboxedEnvironment(
            loader=FileSystemLoader(folder),
            autoescape=escape,
            undefined=StrictUndefined,
            finalize=_flat,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
            auto_reload=False,
        )
        made.filters.update({name: _filter(make) for name, make in FILTERS.items()})
        return made

    return Renderer(environment(escape=False), environment(escape=True), folder)
