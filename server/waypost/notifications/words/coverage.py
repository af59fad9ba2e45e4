"""Are the words of every language whole? For who adds one, and for our tests. CPU only."""

from __future__ import annotations

from collections.abc import Iterator

import jinja2

from waypost.notifications.kinds import KINDS
from waypost.notifications.render import Renderer
from waypost.notifications.words.domain import Form, OwnWords
from waypost.notifications.words.previews import refused
from waypost.notifications.words.samples import Sample, variants
from waypost.notifications.words.segments import count

NEEDED = (Form.EMAIL, Form.SMS)  # a push is made of both


def findings(renderer: Renderer, most_parts: int) -> list[str]:
    """What is wrong, a line each; ``most_parts``: of an SMS, but with the longest facts."""
    languages = sorted({language for known in renderer.there.values() for language in known})
    return [
        f"{language}/{kind}, {form}: {wrong}"
        for language in languages
        for kind in KINDS
        for form in NEEDED
        for wrong in _wrong(renderer, language, kind, form, most_parts)
    ]


def _wrong(renderer: Renderer, language: str, kind: str, form: Form, most_parts: int) -> Iterator[str]:
    if language not in renderer.there.get((kind, form), ()):
        yield "there are no words"
        return
    subject, body = renderer.source(kind, language, form)
    for fault in refused(renderer, OwnWords(kind, form, language, 0, subject, body)):
        yield f"{fault['field']}: {fault['detail']}"
        return
    if form is Form.SMS:
        yield from _long(renderer, language, kind, most_parts)


def _long(renderer: Renderer, language: str, kind: str, most_parts: int) -> Iterator[str]:
    for name, facts in variants(kind):
        try:
            parts = count(renderer.render(kind, language, facts, Form.SMS).body).parts
        except jinja2.TemplateError as error:
            yield f"with the example {name}: {error.message}"
            continue
        if parts > most_parts and name != Sample.LONGEST:
            yield f"with the example {name} it has {parts} parts"
