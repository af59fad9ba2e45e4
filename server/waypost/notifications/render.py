"""A notice's words: one plain text for each kind and language; its HTML is the same text, escaped, in one layout.

The first line of a template is the subject. Facts are data, never templates: Jinja's sandbox runs only our own files,
and a fact that a template asks for and the notice lacks is an error, not an empty place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from jinja2 import FileSystemLoader, StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

from waypost.notifications.addresses import one_line
from waypost.notifications.domain import Text

TEMPLATES = Path(__file__).absolute().parent / "templates"
VERSION = 1
LONGEST_SUBJECT = 150
LAYOUT = "layout.html"


@dataclass(frozen=True, slots=True)
class Renderer:
    """The templates of this installation."""

    plain: ImmutableSandboxedEnvironment
    escaped: ImmutableSandboxedEnvironment

    def render(self, kind: str, locale: str, facts: Mapping[str, str]) -> Text:
        """``jinja2.TemplateError`` when there is no such template or a fact is missing."""
        name = f"{kind}/{locale}.txt"
        subject, _, body = self.plain.get_template(name).render(facts).strip().partition("\n")
        body = body.strip()
        paragraphs = [paragraph.strip().splitlines() for paragraph in body.split("\n\n") if paragraph.strip()]
        html = self.escaped.get_template(LAYOUT).render(locale=locale, paragraphs=paragraphs)
        return Text(f"{name}@{VERSION}", one_line(subject, LONGEST_SUBJECT), body, html)


def renderer(folder: Path = TEMPLATES) -> Renderer:
    """Reads each template when it is first used."""

    def environment(*, escape: bool) -> ImmutableSandboxedEnvironment:
        return ImmutableSandboxedEnvironment(
            loader=FileSystemLoader(folder),
            autoescape=escape,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )

    return Renderer(environment(escape=False), environment(escape=True))
