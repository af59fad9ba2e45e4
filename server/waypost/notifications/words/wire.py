"""Bodies of templates."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from waypost.notifications.kinds import KINDS
from waypost.notifications.render import Renderer
from waypost.notifications.words import domain, previews, samples
from waypost.notifications.words.checks import FILTERS, LONGEST_BODY, LONGEST_SUBJECT
from waypost.notifications.words.domain import Chosen, Form
from waypost.notifications.words.samples import Sample
from waypost.notifications.words.segments import Segments
from waypost.platform.codec import NO_NUL, SOME_TEXT, Instant, instant, instant_or_none
from waypost.platform.queries import PageQuery

Body = Annotated[str, Meta(min_length=1, max_length=LONGEST_BODY, pattern=SOME_TEXT)]
Subject = Annotated[str, Meta(max_length=LONGEST_SUBJECT, pattern=NO_NUL)]
Note = Annotated[str, Meta(min_length=1, max_length=500, pattern=SOME_TEXT)]
Version = Annotated[int, Meta(ge=1, le=2**31 - 1)]
FormName = Literal["email", "sms", "push"]


class VersionsQuery(PageQuery):
    """Of one template."""


class NewWords(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """A new version. ``subject``: of an e-mail and a push; an SMS has none. ``note``: what was changed, for staff."""

    body: Body
    subject: Subject = ""
    note: Note | None = None


class UseVersion(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """Which version is used from now on; null: Waypost's own words."""

    version: Version | None


class AskedPreview(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """Which words to show. With ``body``: a draft's, as it would be saved; with ``version``: of one's own; with
    neither: those in use. ``samples``: with which examples.
    """

    kind: Annotated[str, Meta(min_length=1, max_length=100, pattern=NO_NUL)]
    form: FormName
    locale: Annotated[str, Meta(min_length=2, max_length=35, pattern=NO_NUL)] = "en"
    body: Body | None = None
    subject: Subject = ""
    version: Version | None = None
    samples: Annotated[list[Sample], Meta(min_length=1, max_length=3)] = msgspec.field(
        default_factory=lambda: list(Sample)
    )


class TemplateField(msgspec.Struct, rename="camel", omit_defaults=True):
    """A fact that words may use, as `{{ name }}`. ``sort``: money, day, count, rows, code, link or text; ``codes``:
    what a code may be.
    """

    name: str
    sort: str
    example: str
    codes: list[str] = []


class OwnInUse(msgspec.Struct, rename="camel"):
    """Words of the organisation's own that are used."""

    form: str
    locale: str
    version: int
    changed_at: Instant

    @classmethod
    def from_domain(cls, chosen: Chosen) -> OwnInUse:
        return cls(str(chosen.form), chosen.locale, chosen.version or 0, instant(chosen.changed_at))


class KindWords(msgspec.Struct, rename="camel"):
    """A kind of notice. ``languages``: Waypost's own; ``own``: where the organisation's words are used instead."""

    kind: str
    group: str
    channels: list[str]
    languages: list[str]
    fields: list[TemplateField]
    own: list[OwnInUse]


class TemplateBook(msgspec.Struct, rename="camel"):
    """Every kind of notice, with what its words may use, and the filters that print facts."""

    data: list[KindWords]
    filters: list[str]


class Template(msgspec.Struct, rename="camel", omit_defaults=True):
    """The words in use. Without ``version``: Waypost's, in ``language``. ``versions``: how many own ones there are."""

    kind: str
    form: str
    locale: str
    language: str
    subject: str
    body: str
    versions: int
    version: int | None = None
    note: str | None = None
    changed_at: Instant | None = None

    @classmethod
    def from_domain(cls, shown: domain.Shown) -> Template:
        return cls(
            shown.kind, str(shown.form), shown.locale, shown.language, shown.subject, shown.body, shown.versions,
            shown.version, shown.note, instant_or_none(shown.changed_at),
        )  # fmt: skip


class TemplateVersion(msgspec.Struct, rename="camel", omit_defaults=True):
    """A version of one's own; it is never changed."""

    version: int
    subject: str
    body: str
    created_at: Instant | None = None
    created_by: UUID | None = None
    note: str | None = None

    @classmethod
    def from_domain(cls, words: domain.OwnWords) -> TemplateVersion:
        return cls(
            words.version, words.subject, words.body, instant_or_none(words.created_at), words.created_by, words.note
        )  # fmt: skip


class MessageParts(msgspec.Struct, rename="camel"):
    """Of how many parts an SMS is. ``units``: letters, those that cost two counted twice; ``room``: what so many parts
    hold.
    """

    encoding: str
    parts: int
    units: int
    room: int

    @classmethod
    def of(cls, segments: Segments) -> MessageParts:
        return cls(str(segments.encoding), segments.parts, segments.units, segments.room)


class MessageCost(msgspec.Struct, rename="camel"):
    """An amount as a decimal number: a part of an SMS may cost less than a cent."""

    amount: str
    currency: str


class PlainerWords(msgspec.Struct, rename="camel"):
    """The same in fewer parts, with letters of the SMS alphabet alone."""

    body: str
    parts: MessageParts


class TemplatePreview(msgspec.Struct, rename="camel", omit_defaults=True):
    """How words read with an example."""

    sample: str
    subject: str
    body: str
    html: str | None = None
    parts: MessageParts | None = None
    cost: MessageCost | None = None
    plainer: PlainerWords | None = None

    @classmethod
    def from_domain(cls, shown: previews.Preview) -> TemplatePreview:
        segments, plainer = shown.segments, shown.plainer_segments
        return cls(
            str(shown.sample),
            shown.text.subject,
            shown.text.body,
            shown.text.html or None,
            MessageParts.of(segments) if segments else None,
            MessageCost(f"{shown.cost.normalize():f}", shown.currency)
            if shown.cost is not None and shown.currency
            else None,
            PlainerWords(shown.plainer, MessageParts.of(plainer)) if shown.plainer is not None and plainer else None,
        )


class TemplatePreviews(msgspec.Struct, rename="camel"):
    """One for each example that was asked for."""

    data: list[TemplatePreview]


def book(renderer: Renderer, chosen: Sequence[Chosen]) -> TemplateBook:
    """What there is to say, and who says it."""
    return TemplateBook([_kind(renderer, name, chosen) for name in KINDS], sorted(FILTERS))


def _kind(renderer: Renderer, name: str, chosen: Iterable[Chosen]) -> KindWords:
    kind = KINDS[name]
    codes = samples.CODES.get(name, {})
    fields = [
        TemplateField(field, str(samples.sort_of(field)), example, list(codes.get(field, ())))
        for field, example in samples.fields(name).items()
    ]
    own = [OwnInUse.from_domain(each) for each in chosen if each.kind == name]
    channels = [str(channel) for channel in (*kind.channels, *kind.instead)]
    return KindWords(name, str(kind.group), channels, sorted(renderer.languages(name, Form.EMAIL)), fields, own)
