"""Pure rules of whom to tell by which way, and what may be handed to a channel."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum


class ChannelName(StrEnum):
    """By what a notice goes out."""

    CONSOLE = "console"
    SMS = "sms"
    EMAIL = "email"
    PUSH = "push"
    IN_APP = "in_app"  # a row in a person's inbox; it is told when it is written
    OTHER = "other"  # by Apprise, to addresses of the organisation's own


# Where the receiver drops a repeat (an e-mail with the same Message-ID, a push with the same topic) or the repeat does
# no harm. An SMS may be repeated only where its gateway drops a second one: the provider says so.
REPEATABLE = frozenset({ChannelName.CONSOLE, ChannelName.EMAIL, ChannelName.PUSH})


@dataclass(frozen=True, slots=True)
class Contact:
    """A customer, or a member of staff, as we reach them, and the business that tells them, with where it is found.

    ``locale``: the language to tell them in, a BCP 47 tag such as fr-CD; ``collection_place``: where goods are fetched,
    if not at the shop; ``time_zone``: theirs, if known; ``org_time_zone``: the business's; ``country``:
    the business's; ``push``: their subscriptions, by id; ``user_id`` and ``role``: of a member, whose
    inbox that is; ``no_inbox``: they do not want this there; ``others``: the ways of the channel OTHER, by id.
    """

    name: str
    business: str
    phone: str | None = None
    email: str | None = None
    locale: str | None = None
    shop_phone: str | None = None
    shop_address: str | None = None
    collection_place: str | None = None
    time_zone: str | None = None
    org_time_zone: str | None = None
    country: str | None = None
    push: tuple[str, ...] = ()
    user_id: str | None = None
    role: str | None = None
    others: tuple[str, ...] = ()
    no_inbox: bool = False


def facts_of(contact: Contact | None) -> dict[str, str]:
    """What every notice says of its customer and the business; empty where there is nothing to say."""
    if contact is None:
        return dict.fromkeys(("name", "business", "shopPhone", "shopAddress", "collectAt"), "")
    return {
        "name": contact.name,
        "business": contact.business,
        "shopPhone": contact.shop_phone or "",
        "shopAddress": _in_a_line(contact.shop_address),
        "collectAt": _in_a_line(contact.collection_place or contact.shop_address),
    }


def _in_a_line(text: str | None) -> str:
    return ", ".join(line.strip() for line in (text or "").splitlines() if line.strip())


def address_of(contact: Contact, channel: ChannelName) -> str | None:
    """Where an SMS or an e-mail reaches them."""
    return contact.email if channel is ChannelName.EMAIL else contact.phone


# RFC 5321's dot-string or letters beyond ASCII are rare here and refused: no provider of ours takes them.
_EMAIL = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*"
)
_E164 = re.compile(r"\+[1-9][0-9]{6,14}")
LONGEST_EMAIL = 254  # RFC 5321, section 4.5.3.1.3


def is_address(channel: ChannelName, address: str) -> bool:
    """May it be handed to the channel? Nothing that could end an SMTP command gets through."""
    if channel is ChannelName.SMS:
        return _E164.fullmatch(address) is not None
    if channel is not ChannelName.EMAIL:
        return True
    return len(address) <= LONGEST_EMAIL and _EMAIL.fullmatch(address) is not None


_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


def one_line(text: str, longest: int) -> str:
    """A text for a header or a subject: no line break or control character, cut to ``longest`` characters."""
    return _CONTROL.sub(" ", text).strip()[:longest].rstrip()
