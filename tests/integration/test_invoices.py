"""Invoices: numbers without gaps, the books of both sides, trips billed once, money over them; in races too."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from uuid import UUID, uuid4

import asyncpg
import pytest

from tests.factories import Org, organisation
from tests.fakes.clock import NOON, FakeClock
from tests.freight import Business, business, pairs, sums
from waypost.identity.domain import OrganisationNotFound
from waypost.invoices import storage_books
from waypost.invoices.domain import (
    Invoice,
    InvoiceEmpty,
    InvoiceMoveRefused,
    InvoiceNotFound,
    Kind,
    Line,
    Status,
    TripBilled,
)
from waypost.invoices.issuing import Issuing
from waypost.invoices.service import NewInvoice
from waypost.kernel.errors import Conflict, Denied, Invalid
from waypost.kernel.ids import new_id
from waypost.kernel.principal import Role
from waypost.ledger.domain import Account, Entry, moved
from waypost.ledger.domain import Line as Posting
from waypost.platform.database import SYSTEM
from waypost.trips.domain import TripNotFound
from waypost.trips.service import NewTrip
from waypost.wiring import Services


@pytest.fixture
async def trade(services: Services, org: Org) -> Business:
    return await business(services, org)


async def serials(services: Services, org_id: UUID, kind: Kind = Kind.INVOICE) -> list[int]:
    async with services.database.transaction(SYSTEM) as conn:
        rows = await conn.fetch(
            "SELECT serial FROM invoices WHERE org_id = $1 AND kind = $2 AND serial IS NOT NULL", org_id, str(kind)
        )
    return sorted(row["serial"] for row in rows)


def at(trade: Business, moment: datetime) -> Issuing:
    """Issuing at another time."""
    money = trade.services.money
    return replace(money.issuing, invoices=replace(money.invoices, clock=FakeClock(moment)))


# -- numbers --


async def test_thirty_issues_at_once_and_some_that_are_undone_leave_no_gap(services: Services, trade: Business):
    drafts = [await trade.draft(100 + n) for n in range(30)]
    issuing, owner = services.money.issuing, trade.carrier.owner

    async def undone(draft: Invoice) -> None:
        async with services.database.unit(owner.org_id):
            assert (await issuing.issue(owner, draft.id)).number is not None
            raise Conflict("changed my mind")

    found = await asyncio.gather(
        *(undone(draft) for draft in drafts[:8]), *(issuing.issue(owner, draft.id) for draft in drafts[8:]),
        return_exceptions=True,
    )  # fmt: skip
    assert [type(each) for each in found] == [Conflict] * 8 + [Invoice] * 22
    assert await serials(services, owner.org_id) == list(range(1, 23))
    await asyncio.gather(*(issuing.issue(owner, draft.id) for draft in drafts[:8]))
    assert await serials(services, owner.org_id) == list(range(1, 31))
    assert set(await pairs(services)) == {0}


async def test_of_two_issues_of_one_draft_one_wins_and_it_is_booked_once(services: Services, trade: Business):
    for _ in range(10):
        draft = await trade.draft(700)
        found = await asyncio.gather(
            *(services.money.issuing.issue(trade.carrier.owner, draft.id) for _ in range(2)), return_exceptions=True
        )
        assert {type(each) for each in found} == {Invoice, InvoiceMoveRefused}
    assert (await sums(services, trade.carrier.org_id))["receivable", trade.shop.org_id] == 7_000
    assert await serials(services, trade.carrier.org_id) == list(range(1, 11))


async def test_numbers_are_counted_by_organisation_kind_and_the_local_year(services: Services, trade: Business):
    await services.organisations.change(
        trade.carrier.owner, name=None, time_zone="Pacific/Auckland", tracking={}
    )  # 13 hours ahead of UTC in summer
    drafts = [await trade.draft() for _ in range(4)]
    moments = [
        datetime(2026, 12, 31, 10, 59, tzinfo=UTC), datetime(2026, 12, 31, 11, 0, tzinfo=UTC), NOON,
        datetime(2027, 1, 5, tzinfo=UTC),
    ]  # fmt: skip
    numbers = []
    for draft, moment in zip(drafts, moments, strict=True):
        issued = await at(trade, moment).issue(trade.carrier.owner, draft.id)
        numbers.append((issued.number, issued.issue_date))
    assert numbers == [
        ("INV-2026-000001", date(2026, 12, 31)),
        ("INV-2027-000001", date(2027, 1, 1)),
        ("INV-2026-000002", date(2026, 11, 23)),
        ("INV-2027-000002", date(2027, 1, 5)),
    ]
    voided = await at(trade, NOON).void(trade.carrier.owner, drafts[0].id)
    assert voided.credit_note_id is not None
    assert (await services.money.invoices.find(trade.carrier.owner, voided.credit_note_id)).number == "CRN-2026-000001"
    back = await services.money.invoices.create(
        trade.shop.owner, NewInvoice(trade.carrier.org_id, "USD", lines=drafts[0].lines)
    )
    assert (await at(trade, NOON).issue(trade.shop.owner, back.id)).number == "INV-2026-000001"


# -- the books of both sides --


async def test_issuing_books_income_here_and_expense_there(services: Services, trade: Business):
    issued = await trade.issued(10_000, tax_bp=1_500)
    assert (issued.status, issued.total_minor) == (Status.ISSUED, 11_500)
    carrier, shop = trade.carrier.org_id, trade.shop.org_id
    assert await sums(services, carrier) == {
        ("receivable", shop): 11_500, ("freight-income", None): -10_000, ("tax-payable", None): -1_500,
    }  # fmt: skip
    assert await sums(services, shop) == {
        ("payable", carrier): -11_500, ("freight-expense", None): 10_000, ("tax-recoverable", None): 1_500,
    }  # fmt: skip


async def test_a_credit_note_takes_all_of_it_back_and_names_what_it_takes_back(services: Services, trade: Business):
    issued = await trade.issued(9_999, tax_bp=1_450)
    voided = await services.money.issuing.void(trade.carrier.owner, issued.id, "wrong price")
    assert voided.status is Status.VOIDED
    assert voided.credit_note_id is not None
    for person in (trade.carrier.owner, trade.shop.owner):
        note = await services.money.invoices.find(person, voided.credit_note_id)
        assert (note.kind, note.of_invoice_id, note.total_minor) == (Kind.CREDIT_NOTE, issued.id, issued.total_minor)
        assert (note.note, [line.net_minor for line in note.lines]) == ("wrong price", [9_999])
    assert await sums(services, trade.carrier.org_id) == await sums(services, trade.shop.org_id) == {}
    with pytest.raises(InvoiceMoveRefused, match="voided"):
        await services.money.issuing.void(trade.carrier.owner, issued.id)
    with pytest.raises(InvoiceMoveRefused, match="credit note"):
        await services.money.issuing.void(trade.carrier.owner, voided.credit_note_id)


async def test_two_who_invoice_each_other_for_the_first_time_at_once_both_do(services: Services, trade: Business):
    lines = [Line("Storage", 1_000, 500, 1_500)]
    money, carrier, shop = services.money, trade.carrier, trade.shop
    there = [await money.invoices.create(carrier.owner, NewInvoice(shop.org_id, "USD", lines=lines)) for _ in range(5)]
    back = [await money.invoices.create(shop.owner, NewInvoice(carrier.org_id, "USD", lines=lines)) for _ in range(5)]
    found = await asyncio.gather(
        *(money.issuing.issue(carrier.owner, each.id) for each in there),
        *(money.issuing.issue(shop.owner, each.id) for each in back),
    )
    assert {each.status for each in found} == {Status.ISSUED}
    assert await pairs(services) == [0, 0]
    upkeep = services.money.ledger_upkeep
    assert [*await upkeep.check(carrier.org_id), *await upkeep.check(shop.org_id)] == []


def theirs(invoice: Invoice, lines: Sequence[Posting]) -> Entry:
    return Entry(f"x:{uuid4()}", "x", "invoice", invoice.id, invoice.currency, lines, NOON)


async def post_theirs(services: Services, org_id: UUID, invoice: Invoice, lines: Sequence[Posting]) -> bool:
    async with services.database.transaction(org_id) as conn:
        return await storage_books.post_theirs(conn, invoice, new_id(services.clock), theirs(invoice, lines), lines)


async def test_anothers_books_are_written_for_ones_own_issued_invoices_only(services: Services, trade: Business):
    issued, draft = await trade.issued(), await trade.draft()
    lines = moved(5, debit=Account.FREIGHT_EXPENSE, credit=Account.BANK)
    assert await post_theirs(services, trade.carrier.org_id, issued, lines)
    refused = [
        (trade.carrier.org_id, draft, lines),
        (trade.shop.org_id, issued, lines),
        (trade.carrier.org_id, issued, moved(5, debit=Account.SALES, credit=Account.BANK)),
        (trade.carrier.org_id, replace(issued, id=uuid4()), lines),
    ]
    for org_id, invoice, tried in refused:
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="counterparty"):
            await post_theirs(services, org_id, invoice, tried)
    with pytest.raises(asyncpg.CheckViolationError):
        await post_theirs(services, trade.carrier.org_id, issued, [Posting(Account.BANK, 5)])


# -- trips --


async def test_a_trip_is_billed_once_and_again_after_a_void_or_a_deleted_draft(services: Services, trade: Business):
    money, owner, trip = services.money, trade.carrier.owner, await trade.trip()
    draft = await trade.draft(trip_id=trip)
    with pytest.raises(TripBilled, match="another draft"):
        await trade.draft(trip_id=trip)
    await money.invoices.delete(owner, draft.id)
    issued = await trade.issued(trip_id=trip)
    with pytest.raises(TripBilled, match=str(issued.number)):
        await trade.draft(trip_id=trip)
    await money.issuing.void(owner, issued.id)
    twice = [Line("Freight", 1_000, 100, 0, trip), Line("Waiting", 1_000, 50, 0, trip)]
    assert (await trade.draft(lines=twice)).total_minor == 150


async def test_of_many_drafts_for_one_trip_at_once_one_is_made(services: Services, trade: Business):
    for _ in range(5):
        trips = [await trade.trip() for _ in range(3)]
        drafts = [[Line("x", 1_000, 100, 0, trip) for trip in order] for order in (trips, trips[::-1], trips[1:])]
        found = await asyncio.gather(*(trade.draft(lines=lines) for lines in drafts), return_exceptions=True)
        assert sorted(type(each).__name__ for each in found) == ["Invoice", "TripBilled", "TripBilled"]


async def test_a_stranger_is_billed_as_little_as_nobody_at_all(services: Services, trade: Business):
    """No trip, no invoice: it would be written into the books of whoever gets it."""
    stranger, money, carrier = await organisation(services, "Mutare Movers"), services.money, trade.carrier.owner
    draft, lines = await trade.draft(), [Line("x", 1_000, 1, 0, await trade.trip())]
    for counterparty in (stranger.org_id, uuid4()):
        with pytest.raises(OrganisationNotFound):
            await money.invoices.create(carrier, NewInvoice(counterparty, "USD", lines=draft.lines))
        with pytest.raises(OrganisationNotFound):
            await money.invoices.change(carrier, draft.id, {"counterparty_org_id": counterparty})
        with pytest.raises(Invalid, match=r"lines\[0\]\.tripId"):
            await money.invoices.create(carrier, NewInvoice(counterparty, "USD", lines=lines))
    await services.trips.create(carrier, NewTrip(destination_org_id=stranger.org_id))
    billed = await money.invoices.create(carrier, NewInvoice(stranger.org_id, "USD", lines=draft.lines))
    assert (await money.issuing.issue(carrier, billed.id)).status is Status.ISSUED


async def test_only_own_trips_for_that_organisation_are_billed(services: Services, trade: Business):
    other = await business(services, trade.carrier)
    with pytest.raises(Invalid, match=r"lines\[0\]\.tripId"):
        await trade.draft(trip_id=await other.trip())
    with pytest.raises(TripNotFound):
        await trade.draft(trip_id=uuid4())
    received = await trade.trip()
    back = NewInvoice(trade.carrier.org_id, "USD", lines=[Line("x", 1_000, 1, 0, received)])
    with pytest.raises(TripNotFound):
        await services.money.invoices.create(trade.shop.owner, back)


async def test_a_trip_that_goes_to_somebody_else_by_now_is_not_issued(services: Services, trade: Business):
    trip, other = await trade.trip(), await business(services, trade.carrier)
    draft = await trade.draft(trip_id=trip)
    await services.trips.change(trade.carrier.owner, trip, {"destination_org_id": other.shop.org_id})
    with pytest.raises(Invalid, match=r"lines\[0\]\.tripId"):
        await services.money.issuing.issue(trade.carrier.owner, draft.id)
    assert await serials(services, trade.carrier.org_id) == []


async def test_what_comes_to_nothing_is_not_issued(services: Services, trade: Business):
    for lines in ([], [Line("Free", 1_000, 0, 0)], [Line("a", 1_000, 5, 0), Line("b", 1_000, -5, 0)]):
        draft = await trade.draft(lines=lines)
        with pytest.raises(InvoiceEmpty):
            await services.money.issuing.issue(trade.carrier.owner, draft.id)


# -- who --


async def test_the_other_side_reads_what_was_issued_to_it_and_changes_nothing(services: Services, trade: Business):
    draft, issued = await trade.draft(), await trade.issued()
    money, shop = services.money, trade.shop.owner
    with pytest.raises(InvoiceNotFound):
        await money.invoices.find(shop, draft.id)
    seen = await money.invoices.find(shop, issued.id)
    assert (seen.org_name, seen.counterparty_name) == ("Harare Haulage", "Bulawayo Bazaar")
    assert seen.lines == issued.lines
    for refused in (
        money.issuing.void(shop, issued.id),
        money.issuing.send(shop, issued.id),
        money.invoices.change(shop, issued.id, {"note": "x"}),
        money.invoices.delete(shop, issued.id),
    ):
        with pytest.raises(Denied, match="belongs to the organisation that issues it"):
            await refused
    stranger = (await business(services, trade.carrier)).shop.owner
    for one in (issued, draft):
        with pytest.raises(InvoiceNotFound):
            await money.invoices.find(stranger, one.id)
        with pytest.raises(InvoiceNotFound):
            await money.issuing.void(stranger, one.id)


@pytest.mark.parametrize("role", [Role.DISPATCHER, Role.VIEWER, Role.DRIVER], ids=str)
async def test_only_owners_and_accountants_write_invoices(services: Services, trade: Business, role: Role):
    person, _ = await trade.carrier.person(role)
    issued = await trade.issued()
    for refused in (
        services.money.invoices.create(person, NewInvoice(trade.shop.org_id, "USD")),
        services.money.issuing.void(person, issued.id),
    ):
        with pytest.raises(Denied):
            await refused
    if role is Role.DRIVER:
        with pytest.raises(Denied):
            await services.money.invoices.find(person, issued.id)
    else:
        assert (await services.money.invoices.find(person, issued.id)).id == issued.id
