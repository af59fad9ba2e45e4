"""A printed invoice: for both organisations, in the issuer's branding, and for nobody else."""

from __future__ import annotations

import pytest

from tests.conftest import Api
from tests.factories import Org, organisation
from tests.freight import Business, business
from waypost.wiring import Services


@pytest.fixture
async def trade(services: Services, org: Org) -> Business:
    selling = {"shop_name": "Savanna Carriers", "shop_tax_number": "P051234567X", "locale": "fr"}
    await services.organisations.change(org.owner, name=None, time_zone=None, selling=selling)
    return await business(services, org)


async def test_both_organisations_print_an_invoice_in_the_issuers_branding(trade: Business, api: Api):
    invoice = await trade.issued(tax_bp=1_600)
    for side in (trade.carrier, trade.shop):
        call = api.as_(await side.token())
        page = await call("GET", f"/api/v1/invoices/{invoice.id}/paper?lang=en")
        text = page.json.decode()
        for said in ("Savanna Carriers", "P051234567X", "Bulawayo Bazaar", str(invoice.number), "USD\u00a0116.00"):
            assert said in text
        pdf = await call("GET", f"/api/v1/invoices/{invoice.id}/paper?format=pdf")
        assert pdf.json.startswith(b"%PDF-")
        assert pdf.headers["Content-Language"] == "fr"
        assert pdf.headers["Content-Disposition"] == f'inline; filename="invoice-{invoice.number}.pdf"'


async def test_a_draft_is_its_issuers_alone_and_a_stranger_sees_neither(trade: Business, api: Api, services: Services):
    draft, invoice = await trade.draft(), await trade.issued()
    carrier, shop = api.as_(await trade.carrier.token()), api.as_(await trade.shop.token())
    assert "Brouillon" in (await carrier("GET", f"/api/v1/invoices/{draft.id}/paper")).json.decode()
    assert (await shop("GET", f"/api/v1/invoices/{draft.id}/paper")).status == 404
    stranger = api.as_(await (await organisation(services, "A stranger")).token())
    answer = await stranger("GET", f"/api/v1/invoices/{invoice.id}/paper")
    assert (answer.status, answer.json["type"]) == (404, "/problems/invoice-not-found")
