"""Which provider takes a try: weight times health, never one that is known to be out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from waypost.kernel.clock import Clock
from waypost.notifications.addresses import REPEATABLE, ChannelName
from waypost.notifications.breakers import OPEN_S, Breakers, Ticket
from waypost.notifications.domain import Due, Try
from waypost.notifications.providers.accounts import HOUSE_SMTP, HttpConfig, ProviderAccount
from waypost.notifications.states import MAX_ATTEMPTS, OutcomeKind
from waypost.notifications.throttles import Counted, Throttles

BY_ACCOUNT = frozenset({ChannelName.SMS, ChannelName.OTHER})  # e-mail may go by the house's own server
DOWN, PROVIDER_BUSY = "held_provider_down", "held_provider_rate"
UNREADABLE = "held_provider_unreadable"
NO_PROVIDER, PROVIDER_GONE = "no_provider", "provider_gone"
STAGGER = 0.5  # those that wait for the same thing come back over half as long again, not all at once


@dataclass(frozen=True, slots=True)
class Hold:
    """Not now: it is asked again at ``until``; no attempt is counted."""

    reason: str
    until: datetime


@dataclass(frozen=True, slots=True)
class Choice:
    """Who takes it. ``account`` None: the channel needs none. ``others``: another could, if this one does not;
    ``instead_of``: the one that surely did not take it before; ``counted``: by the throttles, for this message.
    """

    account: ProviderAccount | None
    ticket: Ticket | None = None
    others: bool = False
    instead_of: ProviderAccount | None = None
    counted: Counted = ()

    @property
    def provider_id(self) -> UUID | None:
        """Of whom the breaker and the attempt's row speak."""
        return self.ticket.key if self.ticket is not None else None

    def give_back(self) -> None:
        """The breaker's leave, if no call was made."""
        if self.ticket is not None:
            self.ticket.give_back()

    @property
    def repeatable(self) -> bool:
        """Does its gateway drop a second one with our id?"""
        return self.account is not None and is_repeatable(self.account)


def is_repeatable(account: ProviderAccount) -> bool:
    """May what is in doubt go out by it once more, by itself?"""
    return isinstance(account.config, HttpConfig) and account.config.repeatable


def in_this_budget(due: Due, tries: Sequence[Try]) -> list[Try]:
    """Those since a person last began afresh."""
    return [each for each in tries if each.attempt > due.budget - MAX_ATTEMPTS]


def eligible(due: Due, accounts: Sequence[ProviderAccount], tries: Sequence[Try]) -> Sequence[ProviderAccount] | None:
    """Who may take it at all; None: what may have gone out by one that is gone goes out by no other.

    A repeat goes by the same provider, whose receiver knows it; unless a person has decided since, or the channel's own
    receivers drop a repeat.
    """
    doubtful = [each.provider_id for each in in_this_budget(due, tries) if each.outcome == OutcomeKind.UNKNOWN]
    if not doubtful:
        return accounts
    same = [account for account in accounts if account.id == doubtful[-1]]
    if same:
        return same
    return accounts if due.channel in REPEATABLE else None


def in_order(
    accounts: Sequence[ProviderAccount],
    failed: Mapping[UUID, int],
    healths: Mapping[UUID, float],
    roll: Callable[[], float],
) -> list[ProviderAccount]:
    """In the order in which they are asked: who has refused this message least often first; among those by lot, as
    often as weight times health says; who weighs nothing last. ``roll``: in [0, 1).
    """
    left, order = sorted(accounts, key=lambda account: account.id), []
    while left:
        least = min(failed.get(account.id, 0) for account in left)
        equal = [account for account in left if failed.get(account.id, 0) == least]
        drawn = [account for account in equal if account.weight > 0] or equal
        shares = [max(account.weight, 1) * healths.get(account.id, 1.0) for account in drawn]
        chosen = _draw(drawn, shares, roll())
        order.append(chosen)
        left.remove(chosen)
    return order


def _draw(accounts: Sequence[ProviderAccount], shares: Sequence[float], rolled: float) -> ProviderAccount:
    point = rolled * sum(shares)
    for account, share in zip(accounts, shares, strict=True):
        point -= share
        if point < 0:
            return account
    return accounts[-1]


@dataclass(frozen=True, slots=True)
class Chooser:
    """Chooses, and takes the breaker's leave: who has a choice settles or gives back its ticket."""

    clock: Clock
    breakers: Breakers
    throttles: Throttles
    roll: Callable[[], float]

    async def choose(self, due: Due, accounts: Sequence[ProviderAccount], tries: Sequence[Try] = ()) -> Choice | Hold:
        """Who takes a try at it, or until when nobody can. ``accounts``: those that may, at least one unless the
        channel can do without; ``tries``: those that were.
        """
        if not accounts:
            return self._without_account(due)
        recent = in_this_budget(due, tries)
        failed = Counter(each.provider_id for each in recent if each.provider_id and each.outcome in _SURELY_NOT)
        healths = {account.id: self.breakers.health(account.id) for account in accounts}
        holds: list[Hold] = []
        for account in in_order(accounts, failed, healths, self.roll):
            taken = await self._ask(account)
            if not isinstance(taken, Hold):
                ticket, counted = taken
                others = _others(account.id, [each for each in accounts if each.is_readable], failed)
                return Choice(account, ticket, others, _last_refuser(recent, accounts, account.id), counted)
            holds.append(taken)
        return min(holds, key=lambda hold: hold.until)

    def _without_account(self, due: Due) -> Choice | Hold:
        if due.channel is not ChannelName.EMAIL:
            return Choice(None)
        ticket = self.breakers.admit(HOUSE_SMTP)
        return Choice(None, ticket) if isinstance(ticket, Ticket) else self._hold(DOWN, ticket)

    async def _ask(self, account: ProviderAccount) -> tuple[Ticket, Counted] | Hold:
        if not account.is_readable:
            return self._hold(UNREADABLE, OPEN_S)
        ticket = self.breakers.admit(account.id)
        if not isinstance(ticket, Ticket):
            return self._hold(DOWN, ticket)
        try:
            counted = await self.throttles.provider(account)
        except BaseException:
            ticket.give_back()
            raise
        if isinstance(counted, tuple):
            return ticket, counted
        ticket.give_back()
        return self._hold(PROVIDER_BUSY, counted)

    def _hold(self, reason: str, wait_s: float) -> Hold:
        return Hold(reason, self.clock.now() + timedelta(seconds=wait_s * (1 + STAGGER * self.roll())))


_SURELY_NOT = frozenset({OutcomeKind.NOT_SENT, OutcomeKind.REFUSED})


def _others(chosen: UUID, accounts: Collection[ProviderAccount], failed: Mapping[UUID, int]) -> bool:
    """Is there one that has refused it no oftener than the chosen has?"""
    mine = failed.get(chosen, 0)
    return any(account.id != chosen and failed.get(account.id, 0) <= mine for account in accounts)


def _last_refuser(recent: Sequence[Try], accounts: Collection[ProviderAccount], chosen: UUID) -> ProviderAccount | None:
    last = recent[-1].provider_id if recent and recent[-1].outcome in _SURELY_NOT else None
    return next((account for account in accounts if account.id == last != chosen), None)
