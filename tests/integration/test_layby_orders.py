"""From the last instalment to the van: a completed layby's order becomes a trip, and its end releases the goods."""

from __future__ import annotations

import asyncio
from uuid import UUID

import pytest

from tests.factories import Org, organisation
from tests.laid_by import Books, customer, layby, pay, today, whole
from waypost.directory.domain import DriverNotFound
from waypost.kernel.errors import Denied
from waypost.kernel.principal import Role
from waypost.laybys import account
from waypost.laybys.deal import Delivery
from waypost.laybys.domain import LaybyMoveRefused, LaybyNotFound, Status
from waypost.laybys.orders import OrderHasTrip
from waypost.laybys.storage_read import Whole
from waypost.platform.database import SYSTEM
from waypost.trips.domain import Move
from waypost.wiring import Services


async def paid_off(org: Org, name: str = "Chipo") -> Whole:
    found = await layby(org, customer_id=await customer(org, name))
    await pay(org, found.layby.id, found.layby.balance_minor)
    return await whole(org, found.layby.id)


async def test_an_order_becomes_a_trip_for_its_customer_and_shows_its_state(org: Org, services: Services):
    done, phone = await paid_off(org), await org.phone(running=False)
    how = Delivery(driver_id=phone.driver_id, origin="Shop", destination="12 Samora Machel Ave")
    found = await services.money.orders.deliver(org.owner, done.layby.id, how)
    assert found.order is not None
    assert (found.trip_status, found.trip_reference) == ("planned", found.order.number)
    assert found.order.trip_id is not None
    trip = await services.trips.find(org.owner, found.order.trip_id)
    assert (trip.customer_id, trip.driver_id, trip.destination) == (
        done.layby.customer_id,
        phone.driver_id,
        "12 Samora Machel Ave",
    )
    await services.trips.move(org.owner, trip.id, Move.START)
    assert (await whole(org, done.layby.id)).trip_status == "started"
    await services.trips.move(org.owner, trip.id, Move.COMPLETE)
    after = await whole(org, done.layby.id)
    assert after.layby.released_at is not None
    assert (after.trip_status, [item.handed_over for item in after.items]) == ("completed", [1, 2])
    kinds = [kind for kind, _ in await Books(org).events(done.layby.id)]
    assert kinds[-3:] == ["trip_planned", "trip_started", "delivered"]


async def test_an_order_has_one_trip_unless_that_was_cancelled(org: Org, services: Services):
    orders, done = services.money.orders, await paid_off(org)
    first = await orders.deliver(org.owner, done.layby.id, Delivery())
    with pytest.raises(OrderHasTrip):
        await orders.deliver(org.owner, done.layby.id, Delivery())
    assert first.order is not None
    assert first.order.trip_id is not None
    await services.trips.move(org.owner, first.order.trip_id, Move.CANCEL)
    second = await orders.deliver(org.owner, done.layby.id, Delivery())
    assert second.order is not None
    assert second.order.trip_id != first.order.trip_id


async def test_a_trip_that_cannot_be_made_leaves_the_order_as_it_was(org: Org, services: Services):
    done = await paid_off(org)
    with pytest.raises(DriverNotFound):
        await services.money.orders.deliver(org.owner, done.layby.id, Delivery(driver_id=done.layby.id))
    assert await whole(org, done.layby.id) == done


async def test_only_a_completed_layby_whose_goods_are_here_is_delivered(org: Org, services: Services):
    orders, running = services.money.orders, await layby(org)
    with pytest.raises(LaybyMoveRefused):
        await orders.deliver(org.owner, running.layby.id, Delivery())
    done = await paid_off(org)
    await services.money.goods.collect(org.owner, done.layby.id)
    with pytest.raises(LaybyMoveRefused):
        await orders.deliver(org.owner, done.layby.id, Delivery())


async def test_who_plans_trips_delivers_and_nobody_of_another_organisation(org: Org, services: Services):
    done = await paid_off(org)
    for role in Role:
        if role not in {Role.OWNER, Role.DISPATCHER}:
            with pytest.raises(Denied):
                await services.money.orders.deliver((await org.person(role))[0], done.layby.id, Delivery())
    other = await organisation(services, "Bulawayo Bulk")
    with pytest.raises(LaybyNotFound):
        await services.money.orders.deliver(other.owner, done.layby.id, Delivery())


async def test_of_two_who_deliver_at_once_one_does(org: Org, services: Services):
    for _ in range(5):
        done = await paid_off(org)
        deeds = (services.money.orders.deliver(org.owner, done.layby.id, Delivery()) for _ in range(2))
        outcomes = await asyncio.gather(*deeds, return_exceptions=True)
        assert sorted(type(each).__name__ for each in outcomes) == ["OrderHasTrip", "Whole"]


async def test_a_reversal_voids_the_order_and_says_that_its_trip_is_still_there(org: Org, services: Services):
    phone, done = await org.phone(running=False), await paid_off(org)
    found = await services.money.orders.deliver(org.owner, done.layby.id, Delivery(driver_id=phone.driver_id))
    assert found.order is not None
    trip_id = found.order.trip_id
    assert trip_id is not None
    async with services.database.transaction(SYSTEM) as conn:
        locked = await account.lock(conn, org.org_id, done.layby.id)
        ground = services.money.desk.ground
        await account.take_back(ground, conn, locked, 60_00, await today(org), reopen=True)
    async with services.database.transaction(org.org_id) as conn:
        alerts = [(row["kind"], row["subject_id"]) for row in await conn.fetch("SELECT * FROM alerts")]
    assert alerts == [("order_voided", trip_id)]
    assert (await services.trips.find(org.owner, trip_id)).status == "planned"
    await services.trips.move(org.owner, trip_id, Move.START)
    await services.trips.move(org.owner, trip_id, Move.COMPLETE)
    after = await whole(org, done.layby.id)
    assert (after.layby.status, after.layby.released_at, after.order) == (Status.ACTIVE, None, None)


async def reverse(org: Org, layby_id: UUID) -> None:
    async with org.services.database.transaction(SYSTEM) as conn:
        locked = await account.lock(conn, org.org_id, layby_id)
        await account.take_back(org.services.money.desk.ground, conn, locked, 60_00, await today(org), reopen=True)


async def test_goods_on_the_van_are_out_until_the_trip_is_cancelled(org: Org, services: Services):
    phone, done, books = await org.phone(running=False), await paid_off(org), Books(org)
    found = await services.money.orders.deliver(org.owner, done.layby.id, Delivery(driver_id=phone.driver_id))
    assert found.order is not None
    assert found.order.trip_id is not None
    await services.trips.move(org.owner, found.order.trip_id, Move.START)
    under_way = await whole(org, done.layby.id)
    assert (under_way.layby.is_out, under_way.layby.released_at) == (True, None)
    with pytest.raises(LaybyMoveRefused):
        await reverse(org, done.layby.id)
    assert await whole(org, done.layby.id) == under_way
    await services.trips.move(org.owner, found.order.trip_id, Move.CANCEL)
    assert not (await whole(org, done.layby.id)).layby.is_out
    await reverse(org, done.layby.id)
    assert (await whole(org, done.layby.id)).layby.status is Status.ACTIVE
    assert [kind for kind, _ in await books.events(done.layby.id)][-5:] == [
        "trip_planned", "trip_started", "trip_cancelled", "reopened", "taken_back",
    ]  # fmt: skip


async def test_a_trip_of_no_order_ends_as_ever(org: Org, services: Services):
    phone = await org.phone()
    assert phone.trip is not None
    trip = await services.trips.move(org.owner, phone.trip.id, Move.COMPLETE)
    assert trip.status == "completed"
