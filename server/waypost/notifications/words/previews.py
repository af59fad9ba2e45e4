"""How words read: held against what they may say, made with examples, counted and priced. CPU only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Final

import jinja2
from jinja2 import meta, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from waypost.notifications.domain import Text
from waypost.notifications.providers.accounts import ProviderAccount
from waypost.notifications.render import Renderer
from waypost.notifications.words import checks
from waypost.notifications.words.domain import Form, OwnWords
from waypost.notifications.words.gsm import downgrade, plain
from waypost.notifications.words.samples import Sample, fields, sample, variants
from waypost.notifications.words.segments import Segments, count

LONGEST_SMS: Final = 1_600  # Twilio's


@dataclass(frozen=True, slots=True)
class Preview:
    """Words made with an example. For an SMS: ``segments``, ``cost`` of one to one person by the organisation's own
    price, and, where that makes it shorter, the same with plainer letters.
    """

    sample: Sample
    text: Text
    segments: Segments | None = None
    cost: Decimal | None = None
    currency: str | None = None
    plainer: str | None = None
    plainer_segments: Segments | None = None


def previews(
    renderer: Renderer, words: OwnWords, locale: str, wanted: Sequence[Sample], account: ProviderAccount | None
) -> list[Preview]:
    """Of words that have passed ``refused``. ``account``: whose price counts."""
    made = [(which, renderer.render_own(words, locale, sample(words.kind, which))) for which in wanted]
    if words.form is not Form.SMS:
        return [Preview(which, text) for which, text in made]
    return [_counted(which, text, account) for which, text in made]


def _counted(which: Sample, text: Text, account: ProviderAccount | None) -> Preview:
    """As it is sent: typographic marks are swapped for twins that the alphabet has."""
    body = downgrade(text.body)
    segments, plainer = count(body), plain(body)
    fewer = count(plainer)
    cost = account.price * segments.parts if account is not None and account.price is not None else None
    currency = account.price_currency if account is not None and cost is not None else None
    told = Text(text.template, "", body)
    if fewer.parts >= segments.parts:
        return Preview(which, told, segments, cost, currency)
    return Preview(which, told, segments, cost, currency, plainer, fewer)


def refused(renderer: Renderer, words: OwnWords) -> list[Mapping[str, str]]:
    """What is wrong with words, field by field, as ``Invalid`` says it; empty: they can be used."""
    if bool(words.subject.strip()) == (words.form is Form.SMS):
        wrong = "an SMS has none" if words.form is Form.SMS else "it must not be empty"
        return [{"field": "subject", "detail": wrong}]
    parts = parts_for(renderer, words.kind)
    found = [
        fault
        for part, text in (("subject", words.subject), ("body", words.body))
        for fault in checks.faults(renderer.plain, words.kind, part, text, parts)
    ]
    if found:
        return [_said(fault) for fault in found]
    return _tried(renderer, words)


def _said(fault: checks.Fault) -> dict[str, str]:
    hint = f"; near: {', '.join(fault.near)}" if fault.near else ""
    return {"field": fault.part, "detail": f"line {fault.line}: {fault.detail}{hint}"}


def _tried(renderer: Renderer, words: OwnWords) -> list[Mapping[str, str]]:
    for name, facts in variants(words.kind):
        try:
            text = renderer.render_own(words, words.locale, facts)
        except jinja2.TemplateError as error:
            return [{"field": "body", "detail": f"with the example {name}: {error.message or type(error).__name__}"}]
        if not text.body:
            return [{"field": "body", "detail": f"with the example {name} it is empty"}]
        if words.form is not Form.SMS and not text.subject:
            return [{"field": "subject", "detail": f"with the example {name} it is empty"}]
        if words.form is Form.SMS and len(text.body) > LONGEST_SMS:
            return [{"field": "body", "detail": f"with the example {name} it has more than {LONGEST_SMS} letters"}]
    return []


def parts_for(renderer: Renderer, kind: str) -> frozenset[str]:
    """What words of a kind may include: our parts that ask for no fact which the kind lacks."""
    known = {*fields(kind), *checks.ALSO, *({"alert"} if "alerts" in fields(kind) else ())}  # one of the list's
    return frozenset(name for name, asked in _parts(renderer.plain, renderer.folder).items() if asked <= known)


def asked_for(environment: ImmutableSandboxedEnvironment, folder: Path, name: str) -> frozenset[str]:
    """The facts that any path through one of our files may ask for."""
    tree = environment.parse((folder / name).read_text())
    included = [ref for ref in meta.find_referenced_templates(tree) if ref]
    withs = tree.find_all(nodes.With)
    given = {target.name for node in withs for target in node.targets if isinstance(target, nodes.Name)}
    below = frozenset[str]().union(*(asked_for(environment, folder, ref) for ref in included)) - given
    return (frozenset(meta.find_undeclared_variables(tree)) | below) - checks.ALSO


@lru_cache(maxsize=8)
def _parts(environment: ImmutableSandboxedEnvironment, folder: Path) -> Mapping[str, frozenset[str]]:
    """Our parts, and what each asks for; read once."""
    names = [f"{path.parent.name}/{path.name}" for path in folder.glob("*/_*.txt")]
    return {name: asked_for(environment, folder, name) for name in names}
