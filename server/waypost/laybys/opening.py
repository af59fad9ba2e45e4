"""A new layby: worked out, checked against its terms, written. The deposit itself is the payments' room's to book."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date
from uuid import UUID

from waypost.directory.service import check_exist
from waypost.identity import audit
from waypost.identity.domain import OrgSettings
from waypost.identity.service import settings_of
from waypost.kernel.clock import Clock
from waypost.kernel.errors import Conflict, invalid_field
from waypost.kernel.ids import new_id
from waypost.kernel.money import PLACES
from waypost.kernel.principal import TELLERS, Principal
from waypost.kernel.zones import zone_or_utc
from waypost.laybys import notices, record, stock, storage
from waypost.laybys.deal import Deal, NewLayby, Plan, worked_out
from waypost.laybys.domain import Item, Layby, Status
from waypost.laybys.ports import Ground
from waypost.laybys.references import new_reference, normal_form
from waypost.laybys.rule_book import terms_for
from waypost.platform.database import Connection

__all__ = ["NewLayby", "ReferenceTaken", "open_layby", "planned"]

TRIES = 20  # of a reference: 30 random bits, so the second is as good as never needed


class ReferenceTaken(Conflict):
    """Another layby of yours has this reference."""

    code = "reference-taken"


async def planned(conn: Connection, clock: Clock, org_id: UUID, deal: Deal, deposit_minor: int | None) -> Plan:
    """The deal under the organisation's present rules; ``Invalid`` names what they, or the law, do not allow.

    ``deposit_minor`` None: the usual one. Nothing is stored.
    """
    settings = await settings_of(conn, org_id)
    selling = settings.selling
    if deal.currency is not None and deal.currency not in PLACES:
        raise invalid_field("currency", "there is no such currency; give an ISO 4217 code such as USD")
    terms = await terms_for(conn, org_id, selling, deal.trade or selling.trade, deal.currency)
    return worked_out(deal, terms, deposit_minor, _today(settings, clock))


async def open_layby(
    ground: Ground,
    conn: Connection,
    principal: Principal,
    new: NewLayby,
    deposit_minor: int,
    *,
    receipt: str = "",
    randbits: Callable[[int], int] = secrets.randbits,
) -> Layby:
    """Write a new layby, nothing of it paid yet: the caller books the deposit next, in this transaction.

    ``receipt``: the deposit's, for the customer's notice. ``Invalid``, ``CustomerNotFound`` and ``ReferenceTaken``:
    nothing is written.
    """
    principal.require(TELLERS)
    plan = await planned(conn, ground.clock, principal.org_id, new.deal, deposit_minor)
    await check_exist(conn, principal.org_id, customer_id=new.customer_id)
    layby = await _written(conn, _layby(ground.clock, principal, new, plan), plan.items, new.reference, randbits)
    await stock.say(ground, conn, layby, stock.Said.RESERVED, 0, stock.whole(plan.items))
    paid = replace(layby, paid_minor=deposit_minor)
    await record.notify(ground, conn, layby, notices.created(paid, plan.items, receipt))
    await audit.record(
        conn, principal, ground.clock, action="layby.opened", subject_kind="layby", subject_id=layby.id,
        detail={"payableMinor": layby.payable_minor, "depositMinor": deposit_minor, "currency": layby.currency},
    )  # fmt: skip
    data = {"payableMinor": layby.payable_minor, "depositMinor": deposit_minor}
    await record.happened(ground, conn, layby, "created", data, principal)
    return layby


async def _written(
    conn: Connection, layby: Layby, items: Sequence[Item], wanted: str | None, randbits: Callable[[int], int]
) -> Layby:
    """With a reference of its own: the one that is wanted, or one that is free."""
    if wanted is not None:
        layby = replace(layby, reference=_own_reference(wanted))
        if not await storage.add(conn, layby, items):
            raise ReferenceTaken
        return layby
    for _ in range(TRIES):
        layby = replace(layby, reference=new_reference(randbits))
        if await storage.add(conn, layby, items):
            return layby
    raise ReferenceTaken("No free reference was found; send it again.")


def _layby(clock: Clock, principal: Principal, new: NewLayby, plan: Plan) -> Layby:
    now = clock.now()
    return Layby(
        org_id=principal.org_id,
        id=new_id(clock),
        reference="",
        customer_id=new.customer_id,
        customer_name="",
        status=Status.ACTIVE,
        trade=plan.terms.rules.trade,
        jurisdiction=plan.terms.jurisdiction.code,
        currency=plan.currency,
        items_minor=plan.items_minor,
        service_fee_minor=plan.service_fee_minor,
        admin_fee_minor=plan.admin_fee_minor,
        late_fees_minor=0,
        paid_minor=0,
        deposit_minor=plan.deposit_minor,
        rhythm=plan.rhythm,
        start_date=plan.start_date,
        final_date=plan.final_date,
        terms=plan.terms,
        created_at=now,
        updated_at=now,
        version=1,
        instalments=plan.instalments,
        told_before_at=now if new.told_before else None,
        note=new.note,
        created_by=principal.user_id,
    )


def _own_reference(text: str) -> str:
    reference = normal_form(text)
    if not 3 <= len(reference) <= 12:  # noqa: PLR2004 - what a provider's field holds
        raise invalid_field("reference", "3 to 12 letters and digits")
    return reference


def _today(settings: OrgSettings, clock: Clock) -> date:
    return clock.now().astimezone(zone_or_utc(settings.time_zone)).date()
