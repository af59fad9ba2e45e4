"""Pure rules of consent: whose word counts, what a suppression stops, what a keyword means."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Final
from uuid import UUID

from waypost.kernel.errors import Conflict, NotFound
from waypost.notifications.addresses import ChannelName
from waypost.notifications.kinds import ANSWERS, KINDS, Group, Kind
from waypost.notifications.providers.accounts import ProviderAccount, TwilioConfig

ANY: Final = "*"
# What a person can choose among.
CHOSEN: Final = (ChannelName.SMS, ChannelName.EMAIL, ChannelName.PUSH, ChannelName.IN_APP)


class SuppressionNotFound(NotFound):
    """No such suppression, or none of yours."""

    code = "suppression-not-found"


class SuppressionEnded(Conflict):
    """This suppression has ended already."""

    code = "suppression-ended"


class SuppressionTheirs(Conflict):
    """The person has said so themselves; only they can take it back: by START, or by the link in an e-mail."""

    code = "suppression-theirs"


class StopUnknown(NotFound):
    """This link is not one of ours; take it from the e-mail once more, whole."""

    code = "stop-link-unknown"


class Why(StrEnum):
    """Why an address must not be written to."""

    STOP = "stop"
    UNSUBSCRIBED = "unsubscribed"
    HARD_BOUNCE = "hard_bounce"
    SOFT_BOUNCES = "soft_bounces"
    COMPLAINT = "complaint"
    OPTED_OUT = "opted_out"
    BAD_ADDRESS = "bad_address"
    STAFF = "staff"


# A reason code for each, on the delivery's row.
REFUSALS: Final[Mapping[Why, str]] = MappingProxyType(
    {
        Why.STOP: "suppressed_stop",
        Why.UNSUBSCRIBED: "suppressed_unsubscribed",
        Why.HARD_BOUNCE: "suppressed_hard_bounce",
        Why.SOFT_BOUNCES: "suppressed_soft_bounces",
        Why.COMPLAINT: "suppressed_complaint",
        Why.OPTED_OUT: "suppressed_opted_out",
        Why.BAD_ADDRESS: "suppressed_bad_address",
        Why.STAFF: "suppressed_staff",
    }
)
PREFERENCE_OFF: Final = "preference_off"
# What asks for fewer messages, not for none: what is required goes out all the same.
BUT_REQUIRED: Final = frozenset({Why.UNSUBSCRIBED, Why.COMPLAINT})
# What a delivery that arrived proves wrong.
DISPROVED: Final = frozenset({Why.HARD_BOUNCE, Why.SOFT_BOUNCES, Why.BAD_ADDRESS})
# Said by the person: nobody of the staff takes it back for them.
THEIRS: Final = frozenset({Why.STOP, Why.UNSUBSCRIBED, Why.OPTED_OUT, Why.COMPLAINT})


@dataclass(frozen=True, slots=True)
class Suppression:
    """An address that must not be written to. ``sender``: by that number of ours; "": by none."""

    org_id: UUID
    id: UUID
    channel: str
    sender: str
    address: str
    reason: Why
    source: str
    detail: str | None
    since: datetime
    ended_at: datetime | None = None
    ended_by: UUID | None = None
    ended_why: str | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """Whether a kind is wanted by a channel; ``ANY`` stands for each."""

    kind: str
    channel: str
    wanted: bool
    source: str = ""
    changed_at: datetime | None = None
    changed_by: UUID | None = None


@dataclass(frozen=True, slots=True)
class Whose:
    """Of whom preferences are; both None: the organisation's own."""

    customer_id: UUID | None = None
    user_id: UUID | None = None


def wanted(kind: Kind, channel: ChannelName, theirs: Iterable[Choice], ours: Iterable[Choice]) -> bool:
    """Is it to be told? First match wins: theirs before the organisation's; this kind by this channel, this kind,
    everything by this channel, everything. What is required always is.
    """
    if kind.required:
        return True
    for choices in (list(theirs), list(ours)):
        said = {(choice.kind, choice.channel): choice.wanted for choice in choices}
        for key in ((kind.name, channel), (kind.name, ANY), (ANY, channel), (ANY, ANY)):
            if key in said:
                return said[key]
    return True


def refusal_of(kind: Kind, suppressed: Iterable[tuple[Why, str]], senders: Collection[str]) -> str | None:
    """Why an address with these suppressions (reason and sender) must not be written to; None: it may be.

    Who asks is answered, also where they have stopped the rest. One of a sender counts only when each of ``senders``,
    by which it could go out, is stopped; without ``senders``, at once.
    """
    left = set(senders)
    reason: Why | None = None
    for why, sender in suppressed:
        if (why in BUT_REQUIRED and kind.required) or (why in THEIRS and kind.name in ANSWERS):
            continue
        if not sender:
            return REFUSALS[why]
        reason = reason or why
        left.discard(sender)
    return REFUSALS[reason] if reason is not None and not left else None


def told_by(channel: ChannelName, address: str) -> ChannelName:
    """The channel that a console delivery stands for; any other is itself."""
    if channel is not ChannelName.CONSOLE:
        return channel
    return ChannelName.EMAIL if "@" in address else ChannelName.SMS


_NUMBER: Final = re.compile(r"(?:\+|00)?([1-9]\d{6,14})")


def same_form(address: str) -> str:
    """An address or a sender as it is kept and compared: a long number with its plus, an e-mail in small letters."""
    bare = re.sub(r"[\s().-]", "", address) if "@" not in address else address.strip()
    number = _NUMBER.fullmatch(bare)
    return f"+{number[1]}" if number else address.strip().lower()


def sender_of(account: ProviderAccount) -> str:
    """What of ours a person stops who writes STOP: the number or name, or the service that chooses it; "": none known,
    so all.
    """
    if isinstance(account.config, TwilioConfig) and account.config.service_sid:
        return same_form(account.config.service_sid)
    return same_form(account.sender)


class Meant(StrEnum):
    """What a message to us says, where it is a keyword."""

    STOP = "stop"
    START = "start"
    HELP = "help"


KEYWORDS: Final[Mapping[str, Meant]] = MappingProxyType(
    {
        **dict.fromkeys(
            ("STOP", "STOPALL", "STOP ALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT", "OPT OUT"),
            Meant.STOP,
        ),
        **dict.fromkeys(("ARRET", "ARRÊT", "PARAR", "SAIR", "BAJA", "ALTO"), Meant.STOP),
        **dict.fromkeys(("START", "UNSTOP", "YES"), Meant.START),
        **dict.fromkeys(("HELP", "INFO", "AYUDA", "AJUDA", "AIDE"), Meant.HELP),
    }
)
_EDGES: Final = re.compile(r"^[\W_]+|[\W_]+$")


def meaning(text: str) -> Meant | None:
    """Of a whole message that is one keyword, whatever its case and the marks around it; None: somebody wrote to us."""
    return KEYWORDS.get(keyword(text))


def keyword(text: str) -> str:
    """A message as keywords are written."""
    return " ".join(_EDGES.sub("", text).upper().split())


def switched_off(group: Group, channel: ChannelName) -> list[str]:
    """The kinds that "no more of these" means: of the group, by that channel, and not required."""
    return [
        kind.name
        for kind in KINDS.values()
        if kind.group is group and not kind.required and channel in (*kind.channels, *kind.instead)
    ]


class Told(StrEnum):
    """Whom preferences are for, and so which kinds can be chosen among."""

    CUSTOMER = "customer"
    STAFF = "staff"
    EVERYBODY = "everybody"  # an organisation's own


def kinds_for(told: Told) -> list[Kind]:
    """The kinds that they are told."""
    if told is Told.EVERYBODY:
        return list(KINDS.values())
    return [kind for kind in KINDS.values() if (kind.group is Group.STAFF) is (told is Told.STAFF)]


def may_choose(kind: str, channel: str, told: Told) -> tuple[str, str] | None:
    """What is wrong with a choice: the field, and what it must be; None: nothing."""
    if channel not in (ANY, *CHOSEN):
        return "channel", f"one of {', '.join((ANY, *CHOSEN))}"
    if kind == ANY:
        return None
    found = {each.name: each for each in kinds_for(told)}.get(kind)
    if found is None:
        return "kind", "a kind of notice that they are told, or *"
    if found.required:
        return "kind", "a kind that may be switched off: this one is required"
    return None
