"""Pure rules of by which ways a notice goes out, and what carries it when those could not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from waypost.notifications.addresses import ChannelName, Contact, address_of, is_address
from waypost.notifications.kinds import Kind
from waypost.notifications.states import State

# A channel that the console stands in for while it is not there itself.
SHOWN = frozenset({ChannelName.SMS, ChannelName.EMAIL})
# Nobody was told by these; an open doubt is neither told nor not told.
UNTOLD = frozenset({State.SUPPRESSED, State.UNDELIVERED, State.FAILED, State.DEAD, State.IN_DOUBT})
# Reasons that are not the address's: another would not help, or a person has decided.
NOT_THE_ADDRESS = frozenset({"channel_off", "no_recipient", "let_be", "render_failed"})
THEIR_WISH = "preference_"  # how the reasons begin that say: they do not want it


@dataclass(frozen=True, slots=True)
class Planned:
    """A delivery to be; ``reason`` set: it is suppressed, and why. ``instead``: those before it could not tell."""

    channel: ChannelName
    address: str
    reason: str | None = None
    instead: bool = False


@dataclass(frozen=True, slots=True)
class Gone:
    """A delivery of a notice as it is now."""

    channel: str
    address: str
    state: State
    reason: str | None

    @property
    def failed_at_the_address(self) -> bool:
        """Would another address have been told? Not where they asked for nothing, or the fault was ours."""
        reason = self.reason or ""
        return self.state in UNTOLD and reason not in NOT_THE_ADDRESS and not reason.startswith(THEIR_WISH)


def plan(contact: Contact | None, kind: Kind, offered: frozenset[ChannelName]) -> list[Planned]:
    """One delivery for each channel that carries the notice and address that it has there; those that cannot, with the
    reason. Where none of the kind's channels can, one of those that carry it instead. Never empty.
    """
    if contact is None:
        return [Planned(kind.channels[0], "", "no_recipient")]
    planned = _by_all(contact, kind.channels, offered)
    if all(each.reason for each in planned):
        planned += [replace(each, instead=True) for each in _first_that_can(contact, kind, offered, planned)]
    if planned:
        return planned
    first = kind.channels[0]
    return [Planned(first, next(iter(_addresses(contact, first)), ""), "channel_off")]


def stand_in(
    contact: Contact | None, kind: Kind, offered: frozenset[ChannelName], there: Sequence[Gone]
) -> Planned | None:
    """The way that carries the notice now that those it went by (all that are ``there``) could not; None: none is
    left, or none is wanted. Nobody was told yet, and nothing is under way: see ``is_untold``.
    """
    if contact is None or not any(each.failed_at_the_address for each in there):
        return None
    known = [Planned(ChannelName(each.channel), each.address) for each in there if each.channel in set(ChannelName)]
    return next(iter(_first_that_can(contact, kind, offered, known)), None)


def is_untold(there: Iterable[Gone]) -> bool:
    """Has every way come to an end that told nobody? One that was called off is no reason to tell by another."""
    return all(each.state in UNTOLD for each in there)


def is_unreachable(there: Iterable[Gone]) -> bool:
    """Could they not be reached at all, by any address? Not while one may have told them, or where we gave up."""
    found = list(there)
    surely = {State.SUPPRESSED, State.UNDELIVERED, State.FAILED}
    return bool(found) and all(each.state in surely and each.failed_at_the_address for each in found)


def _first_that_can(
    contact: Contact, kind: Kind, offered: frozenset[ChannelName], known: Sequence[Planned]
) -> list[Planned]:
    there = {(each.channel, each.address) for each in known}
    fresh = [each for each in _by_all(contact, kind.instead, offered) if (each.channel, each.address) not in there]
    return [each for each in fresh if each.reason is None][:1]


def _by_all(contact: Contact, channels: Iterable[ChannelName], offered: frozenset[ChannelName]) -> list[Planned]:
    planned: dict[tuple[ChannelName, str], Planned] = {}
    for channel in channels:
        for each in _by(contact, channel, offered):
            planned.setdefault((each.channel, each.address), each)
    return list(planned.values())


def _by(contact: Contact, channel: ChannelName, offered: frozenset[ChannelName]) -> list[Planned]:
    if channel is ChannelName.IN_APP and contact.no_inbox:
        return [Planned(channel, "", "preference_off")]
    addresses = _addresses(contact, channel)
    if channel not in offered:
        if channel in SHOWN and ChannelName.CONSOLE in offered:
            return [Planned(ChannelName.CONSOLE, each) for each in addresses or _nowhere(contact)]
        return []
    if not addresses:
        return [Planned(channel, "", "no_address")] if channel in SHOWN else []  # nobody asked to be pushed to
    return [Planned(channel, each, None if is_address(channel, each) else "bad_address") for each in addresses]


def _nowhere(contact: Contact) -> list[str]:
    """The console shows what it can even of who has no address at all."""
    return [] if contact.phone or contact.email else [""]


def _addresses(contact: Contact, channel: ChannelName) -> Sequence[str]:
    match channel:
        case ChannelName.PUSH:
            return contact.push
        case ChannelName.IN_APP:
            return (contact.user_id,) if contact.user_id else ()
        case ChannelName.OTHER:
            return contact.others
        case _:
            address = address_of(contact, channel)
            return (address,) if address else ()
