"""Preferences and suppressions, for those who may see and change them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from waypost.identity import audit
from waypost.kernel.clock import Clock
from waypost.kernel.errors import Denied, invalid_field
from waypost.kernel.paging import Page, decode_cursor, page_of
from waypost.kernel.principal import PLANNERS, TELLERS, WATCHERS, Principal, Role
from waypost.notifications.addresses import ChannelName
from waypost.notifications.consent import asking, storage
from waypost.notifications.consent.domain import (
    THEIRS,
    Choice,
    Suppression,
    SuppressionEnded,
    SuppressionNotFound,
    SuppressionTheirs,
    Told,
    Whose,
    Why,
    may_choose,
    same_form,
)
from waypost.platform.database import Connection, Database

OWNERS = frozenset({Role.OWNER})
OURS = Whose()


@dataclass(frozen=True, slots=True)
class Said:
    """What somebody has chosen, and what the organisation has, which holds where they have not."""

    told: Told
    theirs: Sequence[Choice]
    ours: Sequence[Choice]


@dataclass(frozen=True, slots=True)
class Preferences:
    """Who wants to be told what. Whether a customer is there is asked by the caller."""

    database: Database
    clock: Clock

    async def of_customer(self, principal: Principal, customer_id: UUID) -> Said:
        """A customer's."""
        principal.require(WATCHERS)
        return await self._read(principal, Told.CUSTOMER, Whose(customer_id=customer_id))

    async def set_for_customer(
        self, principal: Principal, customer_id: UUID, choices: Sequence[Choice], source: str
    ) -> Said:
        """These and no others, as the customer has told the staff; ``source``: how. What stays the same keeps its time
        and source.
        """
        principal.require(TELLERS)
        return await self._set(principal, Told.CUSTOMER, Whose(customer_id=customer_id), choices, source)

    async def of_me(self, principal: Principal) -> Said:
        """The caller's own, as a member of staff."""
        return await self._read(principal, Told.STAFF, _me(principal))

    async def set_for_me(self, principal: Principal, choices: Sequence[Choice]) -> Said:
        """The caller's own: these and no others."""
        return await self._set(principal, Told.STAFF, _me(principal), choices, "self")

    async def of_organisation(self, principal: Principal) -> Said:
        """The organisation's own, which hold for all who have not chosen."""
        principal.require(WATCHERS)
        return await self._read(principal, Told.EVERYBODY, OURS)

    async def set_for_organisation(self, principal: Principal, choices: Sequence[Choice]) -> Said:
        """The organisation's own: these and no others."""
        principal.require(OWNERS)
        return await self._set(principal, Told.EVERYBODY, OURS, choices, "staff")

    async def _read(self, principal: Principal, told: Told, whose: Whose) -> Said:
        async with self.database.transaction(principal.org_id) as conn:
            return await _said(conn, principal.org_id, told, whose)

    async def _set(
        self, principal: Principal, told: Told, whose: Whose, choices: Sequence[Choice], source: str
    ) -> Said:
        new = _checked(choices, told)
        async with self.database.transaction(principal.org_id) as conn:
            before = {(c.kind, c.channel): c.wanted for c in await storage.choices_of(conn, principal.org_id, whose)}
            await storage.forget(conn, principal.org_id, whose, [key for key in before if key not in new])
            now, by = self.clock.now(), principal.user_id
            await storage.choose(
                conn, principal.org_id, whose, list(new.values()), source=source, now=now, by=by
            )  # fmt: skip
            after = {key: choice.wanted for key, choice in new.items()}
            if before != after:
                await self._record(conn, principal, told, whose, before, after, source)
            return await _said(conn, principal.org_id, told, whose)

    async def _record(
        self,
        conn: Connection,
        principal: Principal,
        told: Told,
        whose: Whose,
        before: Mapping[tuple[str, str], bool],
        after: Mapping[tuple[str, str], bool],
        source: str,
    ) -> None:
        kind = {Told.CUSTOMER: "customer", Told.STAFF: "user", Told.EVERYBODY: "organisation"}[told]
        detail = {"was": _words(before), "is": _words(after), "source": source}
        await audit.record(
            conn, principal, self.clock, action="preferences.changed", subject_kind=kind,
            subject_id=whose.customer_id or whose.user_id or principal.org_id, detail=detail,
        )  # fmt: skip


def _me(principal: Principal) -> Whose:
    if principal.user_id is None:
        raise Denied
    return Whose(user_id=principal.user_id)


async def _said(conn: Connection, org_id: UUID, told: Told, whose: Whose) -> Said:
    ours = await storage.choices_of(conn, org_id, OURS)
    theirs = [] if whose == OURS else await storage.choices_of(conn, org_id, whose)
    return Said(told, theirs, ours)


def _checked(choices: Sequence[Choice], told: Told) -> dict[tuple[str, str], Choice]:
    """``Invalid`` names the choice that cannot be made, and what is said twice."""
    found: dict[tuple[str, str], Choice] = {}
    for index, choice in enumerate(choices):
        if (wrong := may_choose(choice.kind, choice.channel, told)) is not None:
            raise invalid_field(f"choices[{index}].{wrong[0]}", wrong[1])
        if (choice.kind, choice.channel) in found:
            raise invalid_field(f"choices[{index}]", "each kind and channel once")
        found[choice.kind, choice.channel] = choice
    return found


def _words(said: Mapping[tuple[str, str], bool]) -> list[str]:
    return sorted(f"{kind} by {channel}: {'yes' if wanted else 'no'}" for (kind, channel), wanted in said.items())


@dataclass(frozen=True, slots=True)
class SuppressionFilter:
    """Which suppressions a list wants; None: any. ``ended``: those that have ended, too."""

    ended: bool = False
    channel: str | None = None
    address: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Suppressions:
    """Who must not be written to."""

    database: Database
    clock: Clock

    async def list(
        self, principal: Principal, wanted: SuppressionFilter, limit: int, cursor: str | None
    ) -> Page[Suppression]:
        """Newest first."""
        principal.require(WATCHERS)
        after = decode_cursor(cursor, UUID) if cursor else None
        address = same_form(wanted.address) if wanted.address else None
        async with self.database.transaction(principal.org_id) as conn:
            rows = await storage.list_suppressions(
                conn, principal.org_id, after, limit, ended=wanted.ended, channel=wanted.channel, address=address,
                reason=wanted.reason,
            )  # fmt: skip
        return page_of(rows, limit, lambda row: row.id)

    async def add(
        self, principal: Principal, *, channel: ChannelName, address: str, sender: str, why: str
    ) -> Suppression:
        """By staff: the address is not written to any more. One that is so already stays as it is."""
        principal.require(TELLERS)
        async with self.database.transaction(principal.org_id) as conn:
            added = await asking.suppress(
                conn, principal.org_id, channel=channel, address=address, sender=sender, reason=Why.STAFF,
                source="staff", detail=why, clock=self.clock,
            )  # fmt: skip
            rows = await storage.list_suppressions(
                conn, principal.org_id, None, 100, ended=False, channel=channel, address=same_form(address),
                reason=Why.STAFF,
            )  # fmt: skip
            row = next((each for each in rows if each.sender == same_form(sender)), None)
            if row is None:  # it was written, or there, in this very transaction
                raise SuppressionNotFound
            if added:
                await self._record(conn, principal, "added", row, why)
        return row

    async def end(self, principal: Principal, suppression_id: UUID, why: str) -> Suppression:
        """By staff: the address is good again. ``SuppressionTheirs`` for what the person has said themselves."""
        principal.require(PLANNERS)
        async with self.database.transaction(principal.org_id) as conn:
            row = await storage.lock(conn, principal.org_id, suppression_id)
            if row is None:
                raise SuppressionNotFound
            if row.ended_at is not None:
                raise SuppressionEnded
            if row.reason in THEIRS:
                raise SuppressionTheirs
            await storage.end(conn, principal.org_id, suppression_id, self.clock.now(), principal.user_id, why)
            if row.reason is Why.SOFT_BOUNCES:
                await storage.forget_bounces(conn, principal.org_id, row.channel, row.address)
            await self._record(conn, principal, "ended", row, why)
            return await storage.lock(conn, principal.org_id, suppression_id) or row

    async def _record(self, conn: Connection, principal: Principal, what: str, row: Suppression, why: str) -> None:
        await audit.record(
            conn, principal, self.clock, action=f"suppression.{what}", subject_kind="suppression", subject_id=row.id,
            why=why, detail={"channel": row.channel, "reason": str(row.reason)},
        )  # fmt: skip
