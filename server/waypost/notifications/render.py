"""A notice's words: a plain text for each language, kind and form; an e-mail's HTML is that, escaped, in one layout.

``templates/fr/layby_created.txt`` is an e-mail's, ``….sms.txt`` an SMS's, ``….push.txt`` that of a push or an inbox:
another language is another folder. The first line of an e-mail and of a push is the subject; a push without words of
its own has the e-mail's subject and the SMS's text.

Facts are data, never templates: Jinja's sandbox runs our own files and an organisation's checked templates alone. A
fact that a template asks for and the notice lacks is an error, not an empty place, unless ``samples.MAY_LACK`` names
it, and no fact begins a new line. Money and dates are plain values in the facts; filters print them as the customer's
language and region do.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec
from jinja2 import FileSystemLoader, StrictUndefined, Template, TemplateRuntimeError, pass_context
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

from waypost.notifications.addresses import one_line
from waypost.notifications.domain import Text
from waypost.notifications.words.domain import Form, OwnWords
from waypost.notifications.words.gsm import downgrade
from waypost.notifications.words.samples import MAY_LACK
from waypost.platform.printing import Print, language_for, print_for

__all__ = ["FILTERS", "TEMPLATES", "Form", "Renderer", "renderer"]

TEMPLATES = Path(__file__).absolute().parent / "templates"
VERSION = 4
LONGEST_SUBJECT = 150
LAYOUT = "layout.html"
KEPT_COMPILED = 2000  # of our own files there are some hundreds
OWN_COMPILED = 500  # texts of organisations


@dataclass(frozen=True, slots=True)
class Renderer:
    """The templates of this installation. ``there``: which (kind, form) there are words for, in which languages."""

    plain: ImmutableSandboxedEnvironment
    escaped: ImmutableSandboxedEnvironment
    folder: Path
    there: Mapping[tuple[str, Form], frozenset[str]]
    compiled: Callable[[str], Template]

    def render(self, kind: str, locale: str, facts: Mapping[str, str], form: Form = Form.EMAIL) -> Text:
        """In the language of ``locale`` (a BCP 47 tag) or the nearest that there are words in.

        ``jinja2.TemplateError`` when there is no such template, or a fact is missing or not what a filter needs.
        """
        language = language_for(locale, self.languages(kind, form))
        known = self._known(locale, language, facts)
        if form is Form.PUSH and language not in self.there.get((kind, form), ()):
            subject = self._part(language, kind, Form.EMAIL, known).partition("\n")[0]
            short = _sms(f"{language}/{_file(kind, Form.SMS)}@{VERSION}", self._part(language, kind, Form.SMS, known))
            body = _without(known.get("issuer") or known.get("business"), short.body)
            return replace(short, subject=one_line(subject, LONGEST_SUBJECT), body=body)
        name, text = f"{language}/{_file(kind, form)}@{VERSION}", self._part(language, kind, form, known)
        if form is Form.SMS:
            return _sms(name, text)
        subject, _, body = text.partition("\n")
        return self._formed(name, subject, body, form, known)

    def render_own(self, own: OwnWords, locale: str, facts: Mapping[str, str]) -> Text:
        """An organisation's own words, which ``checks.check`` has passed. ``locale``: the recipient's."""
        known = self._known(locale, own.locale.partition("-")[0].lower(), facts)
        name = f"own/{own.locale}/{own.kind}.{own.form}@{own.version}"
        subject, body = (str(self.compiled(text).render(known)) for text in (own.subject, own.body))
        return _sms(name, body) if own.form is Form.SMS else self._formed(name, subject, body, own.form, known)

    def languages(self, kind: str, form: Form = Form.EMAIL) -> frozenset[str]:
        """Those that there are words in for a kind; a push's may be made of an e-mail's and an SMS's."""
        made_of = self.there.get((kind, Form.EMAIL), frozenset()) & self.there.get((kind, Form.SMS), frozenset())
        return self.there.get((kind, form), frozenset()) | (made_of if form is Form.PUSH else frozenset())

    def source(self, kind: str, language: str, form: Form) -> tuple[str, str]:
        """Our own template as it stands in its file: subject and body. A push that has none: of what it is made."""
        if form is Form.PUSH and language not in self.there.get((kind, form), ()):
            return self.source(kind, language, Form.EMAIL)[0], self.source(kind, language, Form.SMS)[1]
        text = (self.folder / language / _file(kind, form)).read_text()
        if form is Form.SMS:
            return "", text.strip()
        subject, _, body = text.partition("\n")
        return subject.strip(), body.strip()

    def _known(self, locale: str, language: str, facts: Mapping[str, str]) -> dict[str, object]:
        lacking = dict.fromkeys(MAY_LACK, "")
        return {**lacking, **facts, _PRINT: print_for(locale, language), "language": language}

    def _formed(self, name: str, subject: str, body: str, form: Form, known: Mapping[str, object]) -> Text:
        """``body``: paragraphs with empty lines between them."""
        paragraphs = [each.strip().splitlines() for each in re.split(r"\n\s*\n", body.strip()) if each.strip()]
        plain = "\n\n".join("\n".join(line.rstrip() for line in lines) for lines in paragraphs)
        text = Text(name, one_line(subject, LONGEST_SUBJECT), plain)
        if form is not Form.EMAIL:
            return text
        shown = {**known, "locale": known["language"], "subject": text.subject, "paragraphs": paragraphs}
        return replace(text, html=self.escaped.get_template(LAYOUT).render(shown))

    def _part(self, language: str, kind: str, form: Form, known: Mapping[str, object]) -> str:
        return str(self.plain.get_template(f"{language}/{_file(kind, form)}").render(known)).strip()


def _sms(name: str, text: str) -> Text:
    """In one line, with spaces that its alphabet has."""
    return Text(name, "", downgrade(" ".join(text.split())))


def _without(teller: object, text: str) -> str:
    """The SMS's text without the name before it, which stands in the subject."""
    rest = text.removeprefix(downgrade(f"{teller}")).lstrip()
    return rest[1:].lstrip()[:1].upper() + rest[1:].lstrip()[1:] if rest.startswith(":") else text


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
    def checked(context: Context, value: object, *rest: Any, **more: Any) -> Any:
        try:
            return make(_print(context), str(value), *rest, **more)
        except (TypeError, ValueError, msgspec.DecodeError) as error:
            raise TemplateRuntimeError(f"a fact is not what its filter needs: {type(error).__name__}") from error

    return checked


def _money(how: Print, minor: str, currency: str) -> str:
    return how.money(int(minor), currency)


def _day(how: Print, day: str) -> str:
    return how.day(date.fromisoformat(day))


def _date(how: Print, day: str) -> str:
    return how.brief_day(date.fromisoformat(day))


def _percent(how: Print, basis_points: str) -> str:
    return how.percent(int(basis_points))


def _plural(how: Print, count: str, one: str, other: str, **more: str) -> str:
    """``more``: the other forms of a language that has them, by CLDR's names: zero, two, few, many."""
    return how.plural(int(count), one, other, **more)


def _rows(_how: Print, text: str) -> list[dict[str, str]]:
    return msgspec.json.decode(text, type=list[dict[str, str]])


FILTERS: Mapping[str, Callable[..., Any]] = {
    "money": _money,
    "day": _day,
    "date": _date,
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
            cache_size=KEPT_COMPILED,
        )
        made.filters.update({name: _filter(make) for name, make in FILTERS.items()})
        return made

    plain = environment(escape=False)
    compiled = lru_cache(OWN_COMPILED)(plain.from_string)
    return Renderer(plain, environment(escape=True), folder, _words_in(folder), compiled)


def _words_in(folder: Path) -> Mapping[tuple[str, Form], frozenset[str]]:
    """Which kinds and forms there are words for, in which languages. A file that begins with _ is a part of others."""
    there: dict[tuple[str, Form], frozenset[str]] = {}
    for path in folder.glob("*/[!_]*.txt"):
        kind, _, form = path.name.removesuffix(".txt").partition(".")
        key = kind, Form(form or Form.EMAIL)
        there[key] = there.get(key, frozenset()) | {path.parent.name}
    return there
