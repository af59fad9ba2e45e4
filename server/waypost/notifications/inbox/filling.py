"""What a batch puts into inboxes: in the organisation's own words where it has some, and not what somebody has said no
to. An inbox's item is told as it is written, so both are asked here; other channels are asked as their turn comes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

import jinja2

from waypost.notifications.addresses import ChannelName, Contact
from waypost.notifications.consent import storage as consent
from waypost.notifications.consent.domain import Choice, wanted
from waypost.notifications.domain import Text
from waypost.notifications.kinds import Kind
from waypost.notifications.making import Meant
from waypost.notifications.words import storage
from waypost.notifications.words.domain import Form, OwnWords
from waypost.notifications.words.service import Words
from waypost.platform.database import Connection
from waypost.platform.telemetry import log


@dataclass(frozen=True, slots=True)
class Inboxes:
    """``own``: an organisation's words of a kind; ``said``: what a person, and by None the organisation, has chosen."""

    words: Words
    own: Mapping[tuple[UUID, str], Sequence[OwnWords]]
    said: Mapping[tuple[UUID, UUID | None], Sequence[Choice]]

    def write(self, org_id: UUID, kind: str, locale: str, facts: Mapping[str, str]) -> Text | None:
        """The words of an item; without them it says its kind, and where to look."""
        try:
            return self.words.say(org_id, kind, Form.PUSH, self.own.get((org_id, kind), ()), locale, facts)
        except jinja2.TemplateError:
            log.exception("render_failed", kind=kind, channel=ChannelName.IN_APP)
            return None

    def asked(self, org_id: UUID, kind: Kind, user_id: UUID | None, contact: Contact | None) -> Contact | None:
        """Them, with whether they want this in their inbox."""
        if contact is None or user_id is None or ChannelName.IN_APP not in kind.channels:
            return contact
        theirs, ours = self.said.get((org_id, user_id), ()), self.said.get((org_id, None), ())
        return contact if wanted(kind, ChannelName.IN_APP, theirs, ours) else replace(contact, no_inbox=True)


async def inboxes_of(conn: Connection, words: Words, meant: Sequence[Meant]) -> Inboxes:
    """Looked up for all of them at once; nothing, where none of them goes into an inbox."""
    filling = [each for each in meant if ChannelName.IN_APP in each.kind.channels]
    if not filling:
        return Inboxes(words, {}, {})
    kinds = {(each.org_id, each.kind.name) for each in filling}
    people = {user_id for each in filling for user_id, _ in each.people if user_id is not None}
    own = await storage.in_use_of(conn, kinds, Form.PUSH)
    return Inboxes(words, own, await consent.choices_for_inboxes(conn, {org for org, _ in kinds}, people))
