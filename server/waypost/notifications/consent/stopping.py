"""What a recipient does with the link in an e-mail: no more of these, no more at all, or again. Nobody signs in for it:
the sealed token says who it is. What waits to be sent obeys, since the claim asks.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from waypost.identity.rules import Rules
from waypost.kernel.clock import Clock
from waypost.notifications.consent import asking, storage
from waypost.notifications.consent.domain import Choice, StopUnknown, Whose, Why, same_form, switched_off, wanted
from waypost.notifications.consent.ports import FindCustomer
from waypost.notifications.consent.tokens import Stop, Tokens
from waypost.notifications.kinds import KINDS, Group
from waypost.platform.database import Connection, Database

PAGE, ONE_CLICK = "unsubscribe_page", "one_click"


class Act(StrEnum):
    """What they want."""

    THESE = "these"  # no more of the group that the e-mail was of
    ALL = "all"  # nothing that is not required
    AGAIN = "again"


@dataclass(frozen=True, slots=True)
class Standing:
    """How it stands with the recipient of a link. ``these``: the group is off; ``all``: everything that may be."""

    business: str
    locale: str
    address: str
    group: Group
    these: bool
    all: bool


@dataclass(frozen=True, slots=True)
class Stopping:
    """The page's use cases; each may be repeated."""

    database: Database
    clock: Clock
    tokens: Tokens
    find: FindCustomer
    rules: Rules

    async def look(self, token: str) -> Standing:
        """It changes nothing: scanners of mail follow links. ``StopUnknown``."""
        stop = self._read(token)
        who = await self._who(stop)
        async with self.database.transaction(stop.org_id) as conn:
            return await self._standing(conn, stop, who)

    async def act(self, token: str, act: Act, source: str) -> Standing:
        """``StopUnknown``."""
        stop = self._read(token)
        who = await self._who(stop)
        async with self.database.transaction(stop.org_id) as conn:
            if act is Act.ALL:
                await self._suppress(conn, stop, source)
            else:
                await self._choose(conn, stop, source, is_wanted=act is Act.AGAIN)
            if act is Act.AGAIN:
                await self._lift(conn, stop)
            return await self._standing(conn, stop, who)

    async def _who(self, stop: Stop) -> tuple[str, str]:
        """The business and the language of the page."""
        contact = await self.find(stop.org_id, stop.customer_id) if stop.customer_id else None
        selling = (await self.rules.of(stop.org_id)).selling
        business = contact.business if contact else selling.shop_name
        return business or "", (contact.locale if contact else None) or selling.locale

    def _read(self, token: str) -> Stop:
        stop = self.tokens.read_stop(token)
        if stop is None:
            raise StopUnknown
        return stop

    async def _choose(self, conn: Connection, stop: Stop, source: str, *, is_wanted: bool) -> None:
        """The group's kinds, each by name, so that staff see what was said; a kind that comes later is asked anew."""
        if stop.customer_id is None and stop.user_id is None:
            await (self._lift(conn, stop) if is_wanted else self._suppress(conn, stop, source))
            return
        choices = [Choice(kind, stop.channel, is_wanted) for kind in switched_off(stop.group, stop.channel)]
        await storage.choose(conn, stop.org_id, _whose(stop), choices, source=source, now=self.clock.now())

    async def _suppress(self, conn: Connection, stop: Stop, source: str) -> None:
        await asking.suppress(
            conn, stop.org_id, channel=stop.channel, address=stop.address, sender="", reason=Why.UNSUBSCRIBED,
            source=source, clock=self.clock,
        )  # fmt: skip

    async def _lift(self, conn: Connection, stop: Stop) -> None:
        await storage.end_of(
            conn, stop.org_id, channel=stop.channel, address=same_form(stop.address), sender=None,
            reasons=(Why.UNSUBSCRIBED,), now=self.clock.now(), why=PAGE,
        )  # fmt: skip

    async def _standing(self, conn: Connection, stop: Stop, who: tuple[str, str]) -> Standing:
        said = await storage.choices_of(conn, stop.org_id, _whose(stop)) if stop.customer_id or stop.user_id else []
        kinds = [KINDS[name] for name in switched_off(stop.group, stop.channel)]
        present = await storage.suppressed(conn, stop.org_id, stop.channel, same_form(stop.address))
        everything = any(why is Why.UNSUBSCRIBED for why, _ in present)
        these = bool(kinds) and not any(wanted(kind, stop.channel, said, ()) for kind in kinds)
        return Standing(*who, stop.address, stop.group, these or everything, everything)


def _whose(stop: Stop) -> Whose:
    return Whose(stop.customer_id, stop.user_id)


def shown_address(address: str) -> str:
    """As a page shows it to whoever holds the link: enough to know it again."""
    name, at, host = address.partition("@")
    return f"{name[:2]}…{at}{host}" if at else f"…{address[-4:]}"
