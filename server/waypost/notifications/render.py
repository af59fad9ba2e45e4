"""A notice's words: a plain text for each language, kind and form; an e-mail's HTML is that, escaped, in one layout.

``templates/fr/layby_created.txt`` is an e-mail's, ``….sms.txt`` an SMS's, ``….push.txt`` that of a push or an inbox:
another language is another folder. The first line of an e-mail and of a push is the subject; a push without words of
its own has the e-mail's subject and the SMS's text.

Facts are data, never templates: Jinja's sandbox runs our own files and an organisation's checked templates alone. A fact
that a template asks for and the notice lacks is an error, not an empty place, and no fact begins a new line. Money and
dates are plain values in the facts; filters print them as the customer's language and region do.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
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
VERSION = 3
LONGEST_SUBJECT = 150
LAYOUT = "layout.html"


class Form(StrEnum):
    """Of what shape the words are; several channels may share one."""

    EMAIL = "email"
    SMS = "sms"
    PUSH = "push"  # and of an inbox


@dataclass(frozen=True, slots=True)
class Renderer:
    """The templates of this installation."""

    plain: ImmutableSandboxedEnvironment
    escaped: ImmutableSandboxedEnvironment
    folder: Path

    def render(self, kind: str, locale: str, facts: Mapping[str, str], form: Form = Form.EMAIL) -> Text:
        """In the language of ``locale`` (a BCP 47 tag) or the nearest that there are words in.

        ``jinja2.TemplateError`` when there is no such template, or a fact is missing or not what a filter needs.
        """
        language = language_for(locale, self.languages(kind))
        known = {**facts, _PRINT: print_for(locale, language), "language": language}
        if form is Form.PUSH and not (self.folder / language / _file(kind, form)).exists():
            subject = self._part(language, kind, Form.EMAIL, known).partition("\n")[0]
            short = self._part(language, kind, Form.SMS, known)
            return Text(f"{language}/{_file(kind, Form.SMS)}@{VERSION}", one_line(subject, LONGEST_SUBJECT), short)
        name, text = f"{language}/{_file(kind, form)}@{VERSION}", self._part(language, kind, form, known)
        if form is Form.SMS:
            return Text(name, "", " ".join(text.split()))
        subject, _, body = text.partition("\n")
        paragraphs = [each.strip().splitlines() for each in re.split(r"\n\s*\n", body.strip()) if each.strip()]
        plain = "\n\n".join("\n".join(line.rstrip() for line in lines) for lines in paragraphs)
        html = self.escaped.get_template(LAYOUT).render(locale=language, paragraphs=paragraphs)
        return Text(name, one_line(subject, LONGEST_SUBJECT), plain, html if form is Form.EMAIL else "")

    def _part(self, language: str, kind: str, form: Form, known: Mapping[str, object]) -> str:
        return str(self.plain.get_template(f"{language}/{_file(kind, form)}").render(known)).strip()

    def languages(self, kind: str) -> list[str]:
        """Those that there are words in for a kind."""
        return sorted(path.parent.name for path in self.folder.glob(f"*/{kind}.txt"))


def _file(kind: str, form: Form) -> str:
    return f"{kind}.txt" if form is Form.EMAIL else f"{kind}.{form}.txt"


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
