"""Bodies of preferences and suppressions."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta

from waypost.kernel.errors import invalid_field
from waypost.notifications.addresses import ChannelName, is_address
from waypost.notifications.consent import domain
from waypost.notifications.consent.domain import CHOSEN, Why, kinds_for, same_form, wanted
from waypost.notifications.consent.service import Said, SuppressionFilter
from waypost.platform.codec import NO_NUL, SOME_TEXT, Instant, instant, instant_or_none
from waypost.platform.queries import PageQuery

Word = Annotated[str, Meta(min_length=1, max_length=60, pattern=SOME_TEXT)]
Reason = Annotated[str, Meta(min_length=1, max_length=500, pattern=SOME_TEXT)]
Address = Annotated[str, Meta(min_length=3, max_length=254, pattern=SOME_TEXT)]


class Choice(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """Whether a kind of notice is wanted by a channel; `*` is any kind, or any channel."""

    kind: Word
    channel: Word
    wanted: bool

    def to_domain(self) -> domain.Choice:
        return domain.Choice(self.kind, self.channel, self.wanted)


class Preferences(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """All choices; those before that are not among them are gone."""

    choices: Annotated[list[Choice], Meta(max_length=500)]

    def to_domain(self) -> list[domain.Choice]:
        return [choice.to_domain() for choice in self.choices]


class CustomerPreferences(Preferences):
    """The same. ``source``: how the customer has said so."""

    source: Word = "staff"


class Made(msgspec.Struct, rename="camel", omit_defaults=True):
    """A choice as it was made. ``source``: how; ``one_click`` and ``unsubscribe_page`` are the customer's own."""

    kind: str
    channel: str
    wanted: bool
    source: str
    changed_at: Instant | None = None

    @classmethod
    def from_domain(cls, c: domain.Choice) -> Made:
        return cls(c.kind, c.channel, c.wanted, c.source, _instant(c.changed_at))


class Effect(msgspec.Struct, rename="camel"):
    """What comes of all choices for a kind: the channels by which it is wanted. ``required``: it cannot be switched
    off.
    """

    kind: str
    group: str
    required: bool
    wanted: list[str]


class Chosen(msgspec.Struct, rename="camel"):
    """What was chosen, what the organisation has chosen for all who have not, and what comes of both."""

    choices: list[Made]
    organisation: list[Made]
    kinds: list[Effect]

    @classmethod
    def from_domain(cls, said: Said) -> Chosen:
        effects = [
            Effect(
                kind.name,
                kind.group,
                kind.required,
                [name for name in kind.channels if name in CHOSEN and wanted(kind, name, said.theirs, said.ours)],
            )
            for kind in kinds_for(said.told)
        ]
        ours = [Made.from_domain(choice) for choice in said.ours]
        theirs = [Made.from_domain(choice) for choice in said.theirs]
        return cls(theirs, ours, effects)


class SuppressionsQuery(PageQuery):
    """Which suppressions a list shows. ``ended``: those that have ended, too."""

    ended: bool = False
    channel: ChannelName | None = None
    address: Annotated[str, Meta(min_length=1, max_length=254, pattern=NO_NUL)] | None = None
    reason: Why | None = None

    def to_domain(self) -> SuppressionFilter:
        return SuppressionFilter(self.ended, self.channel, self.address, self.reason)


class NewSuppression(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """An address that must not be written to. ``sender``: only not by that number of ours; empty: by none."""

    channel: ChannelName
    address: Address
    why: Reason
    sender: Annotated[str, Meta(max_length=60, pattern=NO_NUL)] = ""

    def checked(self) -> str:
        """The address. ``Invalid`` for one that the channel cannot have."""
        if self.channel not in (ChannelName.SMS, ChannelName.EMAIL):
            raise invalid_field("channel", "sms or email")
        kept = same_form(self.address)
        good = is_address(self.channel, kept) if self.channel is ChannelName.EMAIL else kept.startswith("+")
        if not good:
            raise invalid_field("address", "an e-mail address, or a phone number with its country's code")
        return kept


class Ending(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """Why the address is good again; kept in the audit log."""

    why: Reason


class Suppression(msgspec.Struct, rename="camel", omit_defaults=True):
    """An address that must not be written to. ``sender`` absent: by none of ours."""

    id: UUID
    channel: str
    address: str
    reason: str
    source: str
    since: Instant
    sender: str | None = None
    detail: str | None = None
    ended_at: Instant | None = None
    ended_by: UUID | None = None
    ended_why: str | None = None

    @classmethod
    def from_domain(cls, s: domain.Suppression) -> Suppression:
        return cls(
            s.id, s.channel, s.address, s.reason, s.source, instant(s.since), s.sender or None, s.detail,
            _instant(s.ended_at), s.ended_by, s.ended_why,
        )  # fmt: skip


def _instant(at: datetime | None) -> Instant | None:
    return instant_or_none(at)
