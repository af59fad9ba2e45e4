"""What the claim asks: may this address be told this? And the doors by which others say that it may not any more.

Everything is read and written in the caller's transaction. See ``consent.domain`` for the rules.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from uuid import UUID

from waypost.identity.domain import Telling
from waypost.kernel.clock import Clock
from waypost.kernel.ids import new_id
from waypost.notifications.addresses import ChannelName
from waypost.notifications.consent import domain, storage
from waypost.notifications.consent.domain import PREFERENCE_OFF, Suppression, Why, same_form
from waypost.notifications.domain import Due
from waypost.notifications.kinds import ANSWERS, Kind
from waypost.platform.database import Connection
from waypost.platform.telemetry import log


async def refusal(conn: Connection, due: Due, kind: Kind, senders: Collection[str] = ()) -> str | None:
    """Why it must not be sent (``preference_off``, ``suppressed_stop``, ``suppressed_hard_bounce``, ...), or None.

    ``senders``: ``domain.sender_of`` each account that could take it; who has stopped one of them is told by another.
    """
    channel = domain.told_by(due.channel, due.address)
    if not kind.required:
        theirs, ours = await storage.choices_for(conn, due.org_id, due.notification_id, kind.name, channel)
        if not domain.wanted(kind, channel, theirs, ours):
            return PREFERENCE_OFF
    present = await storage.suppressed(conn, due.org_id, channel, same_form(due.address))
    return domain.refusal_of(kind, present, senders)


async def stopped_senders(conn: Connection, due: Due) -> frozenset[str]:
    """The senders (``domain.sender_of``) by which this address must not be written to; none of who has asked."""
    if due.kind in ANSWERS:
        return frozenset()
    channel = domain.told_by(due.channel, due.address)
    present = await storage.suppressed(conn, due.org_id, channel, same_form(due.address))
    return frozenset(sender for _, sender in present if sender)


async def suppress(
    conn: Connection,
    org_id: UUID,
    *,
    channel: ChannelName,
    address: str,
    sender: str,
    reason: str,
    source: str,
    clock: Clock,
    detail: str | None = None,
) -> bool:
    """The address is not written to any more; False: it was not before. ``sender``: by that one of ours, "": by none.

    ``source``: a stable word for who said so (a provider's name, "inbound", "unsubscribe_page", "staff").
    """
    row = Suppression(
        org_id, new_id(clock), channel, same_form(sender), same_form(address), Why(reason), source, detail, clock.now()
    )
    added = await storage.add(conn, row)
    if added:
        log.info("address_suppressed", suppression_id=str(row.id), channel=str(channel), reason=str(row.reason))
    return added


async def bounced(
    conn: Connection,
    org_id: UUID,
    *,
    channel: ChannelName,
    address: str,
    hard: bool,
    code: str | None,
    delivery_id: UUID | None,
    source: str,
    telling: Telling,
    clock: Clock,
) -> bool:
    """A bounce: for good, or one of several that pass. True: the address is suppressed by it."""
    now, kept = clock.now(), same_form(address)
    await storage.add_bounce(
        conn, org_id, new_id(clock), channel=channel, address=kept, hard=hard, code=code, at=now,
        delivery_id=delivery_id,
    )  # fmt: skip
    reason = Why.HARD_BOUNCE
    if not hard:
        since = now - timedelta(days=telling.soft_bounce_days)
        if await storage.soft_bounces(conn, org_id, channel, kept, since) < telling.soft_bounces:
            return False
        reason = Why.SOFT_BOUNCES
    return await suppress(
        conn, org_id, channel=channel, address=kept, sender="", reason=reason, source=source, clock=clock, detail=code
    )


async def arrived(conn: Connection, org_id: UUID, delivery_id: UUID, clock: Clock) -> None:
    """A delivery has arrived: what bounces said of its address before it was sent is no longer true."""
    await storage.disproved(conn, org_id, delivery_id, [str(why) for why in domain.DISPROVED], clock.now())
