"""The demo's laybys: two just begun, one on its way, one paid off whose goods wait for their van."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from waypost.identity.domain import Selling
from waypost.kernel.principal import Principal
from waypost.laybys.deal import Deal, Delivery, NewItem, NewLayby
from waypost.payments.domain import Method
from waypost.payments.till import Taken
from waypost.wiring import Services

SELLING = Selling(
    currency="USD",
    trade="clothing",
    jurisdiction="ZW",
    country="ZW",
    shop_name="Jacaranda Deliveries",
    shop_address="12 Samora Machel Avenue, Harare",
    shop_phone="+263772009999",
    collection_place="our shop, Monday to Saturday",
)


@dataclass(frozen=True, slots=True)
class Sale:
    """A layby to be. ``paid_minor``: after the deposit."""

    customer: str
    item: NewItem
    instalments: int
    deposit_minor: int
    paid_minor: int = 0
    delivered: bool = False


SALES = (
    Sale("Memory Chirwa", NewItem("DR-114", "Wedding dress", 1, 240_00), 4, 60_00),
    Sale("Blessing Phiri", NewItem("SU-020", "School uniform", 3, 35_00), 3, 30_00, paid_minor=25_00),
    Sale("Gift Sibanda", NewItem("CT-007", "Winter coat", 1, 90_00), 3, 20_00),
    Sale("Loveness Gumbo", NewItem("SH-301", "Leather shoes", 2, 45_00), 2, 40_00, 50_00, delivered=True),
)


async def seed(services: Services, owner: Principal) -> None:
    """Open them, take what has been paid, and plan the trip of the one that is paid off."""
    for number, sale in enumerate(SALES):
        customer_id = await _customer(services, owner, number, sale.customer)
        layby_id = await _open(services, owner, customer_id, sale)
        if sale.paid_minor:
            await services.money.payments.take(owner, layby_id, Taken(sale.paid_minor, Method.CASH))
        if sale.delivered:
            how = Delivery(origin="Depot", destination=f"{sale.customer}, 4 Jacaranda Close")
            await services.money.orders.deliver(owner, layby_id, how)


async def _customer(services: Services, owner: Principal, number: int, name: str) -> UUID:
    """With addresses that reach nobody."""
    email = f"{name.lower().replace(' ', '.')}@customers.example"
    return await services.directory.add_customer(owner, name=name, phone=f"+26377210{number:04}", email=email)


async def _open(services: Services, owner: Principal, customer_id: UUID, sale: Sale) -> UUID:
    deal = Deal(items=[sale.item], instalments=sale.instalments)
    new = NewLayby(customer_id, deal, told_before=True)
    opened = await services.money.opening.open(owner, new, Taken(sale.deposit_minor, Method.CASH))
    return opened.found.layby.id
