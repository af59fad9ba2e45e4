"""Preferences, suppressions and the unsubscribe page; what is queued obeys what was said meanwhile."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import aiohttp
import pytest

from tests.conftest import Answer, Api
from tests.consent_world import OURS, THEIRS, Shop
from tests.factories import Org, organisation
from waypost.kernel.principal import Role
from waypost.notifications import storage as deliveries
from waypost.notifications.addresses import ChannelName
from waypost.notifications.consent import asking
from waypost.notifications.consent.domain import Choice, sender_of
from waypost.notifications.consent.tokens import Stop
from waypost.notifications.kinds import (
    ALERT_DIGEST,
    KINDS,
    LAYBY_CREATED,
    PAYMENT_OVERDUE,
    PAYMENT_REMINDER,
    TRIP_STARTED,
    Group,
)
from waypost.notifications.states import State
from waypost.platform.database import SYSTEM
from waypost.wiring import Services

MAIL = "chipo@example.com"
ONE_CLICK = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture
async def shop(org: Org) -> Shop:
    return await Shop.of(org)


async def refusal(shop: Shop, delivery_id: UUID, kind: str = PAYMENT_REMINDER) -> str | None:
    """What the claim is told."""
    services = shop.org.services
    async with services.database.transaction(SYSTEM) as conn:
        due = await deliveries.lock_due(conn, shop.org.org_id, delivery_id, services.clock.now())
        assert due is not None
        return await asking.refusal(conn, due, KINDS[kind], {sender_of(shop.account)})


async def suppress(shop: Shop, reason: str, address: str = THEIRS, sender: str = "", **of: Any) -> None:
    services = shop.org.services
    channel = ChannelName.EMAIL if "@" in address else ChannelName.SMS
    async with services.database.transaction(SYSTEM) as conn:
        await asking.suppress(
            conn, shop.org.org_id, channel=channel, address=address, sender=sender, reason=reason, source="test",
            clock=services.clock, **of,
        )  # fmt: skip


async def test_a_queued_reminder_obeys_a_stop_that_came_meanwhile(shop: Shop) -> None:
    delivery = await shop.delivery(state=State.PENDING)
    assert await refusal(shop, delivery) is None
    await suppress(shop, "stop", sender=OURS)
    assert await refusal(shop, delivery) == "suppressed_stop"


async def test_stop_from_one_organisations_customer_does_not_silence_anothers(shop: Shop, services: Services) -> None:
    """The same person, written to by two businesses from one and the same number."""
    other = await Shop.of(await organisation(services, "Bulawayo Bulk"))
    await suppress(shop, "stop", sender=OURS)
    assert await refusal(shop, await shop.delivery(state=State.PENDING)) == "suppressed_stop"
    assert await refusal(other, await other.delivery(state=State.PENDING)) is None


async def test_stop_to_one_number_leaves_the_others_of_the_organisation(shop: Shop) -> None:
    await suppress(shop, "stop", sender="+263770000009")
    assert await refusal(shop, await shop.delivery(state=State.PENDING)) is None


async def test_a_suppression_of_one_reason_outlasts_the_end_of_another(api: Api, shop: Shop) -> None:
    """Who unsubscribed and then bounced is still unsubscribed when staff say that the address is good."""
    for reason in ("unsubscribed", "hard_bounce"):
        await suppress(shop, reason, MAIL)
    owner = api.as_(await shop.org.token())
    rows = (await owner("GET", "/api/v1/suppressions?reason=hard_bounce")).json["data"]
    ended = await owner("POST", f"/api/v1/suppressions/{rows[0]['id']}/end", {"why": "The mailbox is back"})
    assert (ended.status, ended.json["endedWhy"]) == (200, "The mailbox is back")
    delivery = await shop.delivery(to=MAIL, channel=ChannelName.EMAIL, state=State.PENDING)
    assert await refusal(shop, delivery) == "suppressed_unsubscribed"
    assert await refusal(shop, delivery, LAYBY_CREATED) is None


async def test_a_customers_preference_is_asked_before_the_organisations(api: Api, shop: Shop) -> None:
    customer = await shop.customer(email=MAIL)
    owner = api.as_(await shop.org.token())
    delivery = await shop.delivery(state=State.PENDING, customer_id=customer)
    off = {"choices": [{"kind": PAYMENT_REMINDER, "channel": "sms", "wanted": False}]}
    assert (await owner("PUT", "/api/v1/organisation/preferences", off)).status == 200
    assert await refusal(shop, delivery) == "preference_off"
    on = {"choices": [{"kind": "*", "channel": "*", "wanted": True}], "source": "asked at the counter"}
    assert (await owner("PUT", f"/api/v1/customers/{customer}/preferences", on)).status == 200
    assert await refusal(shop, delivery) is None
    assert await refusal(shop, await shop.delivery(state=State.PENDING)) == "preference_off"


async def test_preferences_are_read_back_with_what_comes_of_them(api: Api, shop: Shop) -> None:
    customer = await shop.customer(email=MAIL)
    owner = api.as_(await shop.org.token())
    path = f"/api/v1/customers/{customer}/preferences"
    choices = [
        {"kind": "*", "channel": "sms", "wanted": False},
        {"kind": PAYMENT_OVERDUE, "channel": "sms", "wanted": True},
    ]
    said = (await owner("PUT", path, {"choices": choices, "source": "by phone"})).json
    assert [(c["kind"], c["channel"], c["wanted"], c["source"]) for c in said["choices"]] == [
        ("*", "sms", False, "by phone"),
        (PAYMENT_OVERDUE, "sms", True, "by phone"),
    ]
    effects = {kind["kind"]: kind for kind in said["kinds"]}
    assert "sms" not in effects[PAYMENT_REMINDER]["wanted"]
    assert "sms" in effects[PAYMENT_OVERDUE]["wanted"]
    assert effects[LAYBY_CREATED]["required"]
    assert "sms" in effects[LAYBY_CREATED]["wanted"]
    assert ALERT_DIGEST not in effects
    assert (await owner("GET", path)).json == said


async def test_a_choice_that_stays_keeps_its_time_and_source_and_one_that_is_left_out_goes(
    api: Api, shop: Shop
) -> None:
    customer = await shop.customer()
    owner = api.as_(await shop.org.token())
    path = f"/api/v1/customers/{customer}/preferences"
    first = {"kind": PAYMENT_REMINDER, "channel": "sms", "wanted": False}
    before = (await owner("PUT", path, {"choices": [first], "source": "by phone"})).json["choices"]
    second = {"kind": PAYMENT_OVERDUE, "channel": "sms", "wanted": False}
    after = (await owner("PUT", path, {"choices": [first, second], "source": "by post"})).json["choices"]
    assert before[0] in after
    left = (await owner("PUT", path, {"choices": [second]})).json["choices"]
    assert [choice["kind"] for choice in left] == [PAYMENT_OVERDUE]


@pytest.mark.parametrize(
    ("choice", "field"),
    [
        ({"kind": LAYBY_CREATED, "channel": "sms", "wanted": False}, "choices[0].kind"),
        ({"kind": "no_such", "channel": "sms", "wanted": False}, "choices[0].kind"),
        ({"kind": ALERT_DIGEST, "channel": "email", "wanted": False}, "choices[0].kind"),
        ({"kind": "*", "channel": "pigeon", "wanted": False}, "choices[0].channel"),
    ],
    ids=["required", "unknown", "of staff", "no channel"],
)
async def test_what_cannot_be_chosen_is_refused_by_name(
    api: Api, shop: Shop, choice: dict[str, Any], field: str
) -> None:
    owner = api.as_(await shop.org.token())
    path = f"/api/v1/customers/{await shop.customer()}/preferences"
    answer = await owner("PUT", path, {"choices": [choice]})
    assert answer.status == 422
    assert field in str(answer.json)
    twice = {"kind": "*", "channel": "sms", "wanted": True}
    assert (await owner("PUT", path, {"choices": [twice, twice]})).status == 422


async def test_the_preferences_of_nobody_are_404(api: Api, shop: Shop, services: Services) -> None:
    theirs = await (await Shop.of(await organisation(services, "Bulawayo Bulk"))).customer()
    owner = api.as_(await shop.org.token())
    for customer in (theirs, uuid4()):
        answer = await owner("GET", f"/api/v1/customers/{customer}/preferences")
        assert (answer.status, answer.json["code"]) == (404, "customer-not-found")


async def test_a_member_of_staff_chooses_for_themselves(api: Api, shop: Shop) -> None:
    person, phone = await shop.org.person(Role.ACCOUNTANT)
    me = api.as_(await shop.org.token(phone))
    body = {"choices": [{"kind": ALERT_DIGEST, "channel": "email", "wanted": False}]}
    assert (await me("PUT", "/api/v1/me/preferences", body)).status == 200
    mine = await shop.delivery(
        to=MAIL, channel=ChannelName.EMAIL, state=State.PENDING, kind=ALERT_DIGEST, user_id=person.user_id
    )
    assert await refusal(shop, mine, ALERT_DIGEST) == "preference_off"
    others = await shop.delivery(
        to=MAIL, channel=ChannelName.EMAIL, state=State.PENDING, kind=ALERT_DIGEST, user_id=shop.org.owner.user_id
    )
    assert await refusal(shop, others, ALERT_DIGEST) is None
    assert (await me("GET", "/api/v1/me/preferences")).json["choices"][0]["source"] == "self"


async def test_each_change_of_preferences_and_suppressions_is_in_the_audit_log(api: Api, shop: Shop) -> None:
    owner = api.as_(await shop.org.token())
    customer = await shop.customer()
    path, body = f"/api/v1/customers/{customer}/preferences", {"choices": [], "source": "by phone"}
    await owner("PUT", path, body)  # nothing changes: nothing is noted
    await owner("PUT", path, {"choices": [{"kind": "*", "channel": "sms", "wanted": False}], "source": "by phone"})
    new = {"channel": "sms", "address": THEIRS, "why": "Wrong person"}
    added = await owner("POST", "/api/v1/suppressions", new)
    assert (added.status, added.json["reason"]) == (201, "staff")
    again = await owner("POST", "/api/v1/suppressions", new)
    assert again.json["id"] == added.json["id"]
    await owner("POST", f"/api/v1/suppressions/{added.json['id']}/end", {"why": "It is theirs now"})
    rows = await shop.rows(
        "SELECT action, detail FROM audit_log WHERE org_id = $1 AND action ~ 'preferences|suppression' ORDER BY id",
        shop.org.org_id,
    )
    assert [row["action"] for row in rows] == ["preferences.changed", "suppression.added", "suppression.ended"]
    assert THEIRS not in str([row["detail"] for row in rows])


async def test_what_a_person_has_said_themselves_staff_do_not_take_back(api: Api, shop: Shop) -> None:
    await suppress(shop, "stop", sender=OURS)
    owner = api.as_(await shop.org.token())
    (row,) = (await owner("GET", "/api/v1/suppressions")).json["data"]
    answer = await owner("POST", f"/api/v1/suppressions/{row['id']}/end", {"why": "We would like to"})
    assert (answer.status, answer.json["code"]) == (409, "suppression-theirs")


async def test_a_suppression_ends_once(api: Api, shop: Shop) -> None:
    await suppress(shop, "hard_bounce", MAIL)
    owner = api.as_(await shop.org.token())
    (row,) = (await owner("GET", f"/api/v1/suppressions?address={MAIL.upper()}")).json["data"]
    path = f"/api/v1/suppressions/{row['id']}/end"
    assert [(await owner("POST", path, {"why": "Mended"})).status for _ in range(2)] == [200, 409]
    assert (await owner("GET", "/api/v1/suppressions")).json["data"] == []
    assert len((await owner("GET", "/api/v1/suppressions?ended=true")).json["data"]) == 1


@pytest.mark.parametrize(
    "body",
    [
        {"channel": "sms", "address": "not a number", "why": "x"},
        {"channel": "email", "address": "nobody", "why": "x"},
        {"channel": "push", "address": MAIL, "why": "x"},
        {"channel": "sms", "address": THEIRS, "why": " "},
    ],
    ids=["no number", "no address", "no such channel", "no reason"],
)
async def test_an_address_that_is_none_is_not_suppressed(api: Api, shop: Shop, body: dict[str, str]) -> None:
    owner = api.as_(await shop.org.token())
    assert (await owner("POST", "/api/v1/suppressions", body)).status == 422


# The page


def link(shop: Shop, customer: UUID | None = None, user: UUID | None = None, group: Group = Group.REMINDER) -> str:
    stop = Stop(shop.org.org_id, customer, user, group, ChannelName.EMAIL, MAIL)
    return f"/unsubscribe/{shop.org.services.telling.tokens.stop_token(stop)}"


async def reminder(shop: Shop, customer: UUID | None, kind: str = PAYMENT_REMINDER) -> UUID:
    return await shop.delivery(
        to=MAIL, channel=ChannelName.EMAIL, state=State.PENDING, customer_id=customer, kind=kind
    )  # fmt: skip


async def press(api: Api, path: str, what: str) -> Answer:
    return await api("POST", path, data=f"what={what}".encode(), headers=ONE_CLICK)


async def test_looking_at_the_page_changes_nothing_and_asks_nobody_to_sign_in(api: Api, shop: Shop) -> None:
    customer = await shop.customer(email=MAIL)
    await api("GET", link(shop, customer))
    answer = await api("GET", link(shop, customer))
    assert answer.status == 200
    assert "no-store" in answer.headers["Cache-Control"]
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert "Set-Cookie" not in answer.headers
    assert b"ch\xe2\x80\xa6@example.com" in answer.json
    assert MAIL.encode() not in answer.json
    assert await refusal(shop, await reminder(shop, customer)) is None
    assert await shop.rows("SELECT FROM preferences") == []


@pytest.mark.parametrize("form", ["urlencoded", "multipart", "nothing"])
async def test_one_click_of_a_mail_program_stops_these_at_once(api: Api, shop: Shop, form: str) -> None:
    """RFC 8058: either encoding, no cookie, no question."""
    customer = await shop.customer(email=MAIL)
    queued = await reminder(shop, customer)
    options: dict[str, Any] = {"data": b"List-Unsubscribe=One-Click", "headers": ONE_CLICK}
    if form == "multipart":
        with aiohttp.MultipartWriter("form-data") as parts:
            part = parts.append("One-Click")
            part.set_content_disposition("form-data", name="List-Unsubscribe")
        options = {"data": parts}
    answer = await api("POST", link(shop, customer), **(options if form != "nothing" else {}))
    assert answer.status == 200
    assert await refusal(shop, queued) == "preference_off"
    assert await refusal(shop, await reminder(shop, customer, TRIP_STARTED), TRIP_STARTED) is None
    assert await refusal(shop, await reminder(shop, customer, LAYBY_CREATED), LAYBY_CREATED) is None
    rows = await shop.rows("SELECT source, channel, wanted FROM preferences WHERE kind = $1", PAYMENT_REMINDER)
    assert [(row["source"], row["channel"], row["wanted"]) for row in rows] == [("one_click", "email", False)]


async def test_the_page_stops_these_or_everything_and_takes_it_back(api: Api, shop: Shop) -> None:
    customer = await shop.customer(email=MAIL)
    path = link(shop, customer)
    queued, trip = await reminder(shop, customer), await reminder(shop, customer, TRIP_STARTED)
    receipt = await reminder(shop, customer, LAYBY_CREATED)
    await press(api, path, "these")
    assert [await refusal(shop, queued), await refusal(shop, trip, TRIP_STARTED)] == ["preference_off", None]
    await press(api, path, "all")
    assert await refusal(shop, trip, TRIP_STARTED) == "suppressed_unsubscribed"
    assert await refusal(shop, receipt, LAYBY_CREATED) is None
    await press(api, path, "again")
    assert [await refusal(shop, queued), await refusal(shop, trip, TRIP_STARTED)] == [None, None]
    rows = await shop.rows("SELECT DISTINCT source FROM preferences")
    assert [row["source"] for row in rows] == ["unsubscribe_page"]


async def test_a_link_is_one_organisations(api: Api, shop: Shop, services: Services) -> None:
    other = await Shop.of(await organisation(services, "Bulawayo Bulk"))
    await press(api, link(shop, await shop.customer(email=MAIL)), "all")
    theirs = await other.customer(email=MAIL)
    assert await refusal(other, await reminder(other, theirs)) is None


async def test_staff_unsubscribe_from_their_digest_and_a_link_of_nobody_stops_its_address(api: Api, shop: Shop) -> None:
    user = shop.org.owner.user_id
    await press(api, link(shop, user=user, group=Group.STAFF), "these")
    digest = await shop.delivery(
        to=MAIL, channel=ChannelName.EMAIL, state=State.PENDING, kind=ALERT_DIGEST, user_id=user
    )
    assert await refusal(shop, digest, ALERT_DIGEST) == "preference_off"
    await press(api, link(shop), "these")
    assert await shop.suppressed() == [(MAIL, "", "unsubscribed")]


async def test_the_page_speaks_the_customers_language(api: Api, shop: Shop) -> None:
    customer = await shop.customer(email=MAIL)
    owner = api.as_(await shop.org.token())
    await owner("PATCH", f"/api/v1/customers/{customer}", {"locale": "fr-CD"})
    answer = await api("GET", link(shop, customer))
    assert b'<html lang="fr">' in answer.json
    assert "Harare Haulage" in answer.json.decode()


@pytest.mark.parametrize("token", ["x", "A" * 60, "%C3%BC", "A" * 3_000])
async def test_a_broken_link_says_so(api: Api, token: str) -> None:
    for method in ("GET", "POST"):
        answer = await api(method, f"/unsubscribe/{token}")
        assert answer.status == 404
        assert b"This link does not work" in answer.json


async def test_what_a_customer_is_called_cannot_break_the_page(api: Api, services: Services) -> None:
    shop = await Shop.of(await organisation(services, "<script>alert(1)</script>{business}"))
    answer = await api("GET", link(shop, await shop.customer(email=MAIL)))
    assert b"<script>" not in answer.json
    assert b"&lt;script&gt;" in answer.json


async def test_choices_by_two_at_once_leave_one_row_each(shop: Shop) -> None:
    import asyncio

    customer = await shop.customer()
    preferences = shop.org.services.telling.preferences
    choices = [Choice(PAYMENT_REMINDER, "sms", wanted=False)]
    calls = (preferences.set_for_customer(shop.org.owner, customer, choices, f"way {n}") for n in range(5))
    await asyncio.gather(*calls)
    assert len(await shop.rows("SELECT FROM preferences WHERE customer_id = $1", customer)) == 1
