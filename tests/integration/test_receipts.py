"""What providers say of messages: kept raw first, early, late, twice, reversed; the rank never falls."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from itertools import permutations
from typing import Any
from uuid import UUID

import pytest

from tests.conftest import Answer, Api
from tests.consent_world import GATEWAY, MAIL, OURS, THEIRS, TWILIO, Shop, signed
from tests.factories import Org, organisation
from waypost.kernel.ids import new_id
from waypost.notifications.addresses import ChannelName
from waypost.notifications.receipts import storage
from waypost.notifications.states import State
from waypost.platform.database import SYSTEM
from waypost.wiring import Services

SID = "SM" + "1" * 32


async def report(api: Api, shop: Shop, delivery_id: UUID, status: str, sid: str = SID, **more: str) -> Answer:
    """Twilio calls the address that was made for the delivery."""
    path = f"/api/v1/callbacks/messages/{shop.report_token(delivery_id)}/status"
    form = {"MessageSid": sid, "MessageStatus": status, "AccountSid": TWILIO.account_sid, "To": THEIRS, **more}
    answer = await api("POST", path, **signed(f"{api.url}{path}", form))
    await shop.settled()
    return answer


@pytest.fixture
async def shop(org: Org) -> Shop:
    return await Shop.of(org)


@pytest.mark.parametrize("status", ["delivered", "undelivered", "failed", "read", "sent"])
async def test_a_receipt_moves_what_was_sent(api: Api, shop: Shop, status: str) -> None:
    delivery = await shop.delivery(ref=SID)
    answer = await report(api, shop, delivery, status)
    assert (answer.status, answer.json.get("received")) == (200, True), answer
    ends = {"failed": State.UNDELIVERED, "read": State.DELIVERED, "sent": State.SENT}
    assert await shop.state(delivery) == ends.get(status, status)


STATUSES = ("queued", "sending", "sent", "delivered")


async def test_receipts_in_any_order_and_twice_come_to_the_same_end(api: Api, shop: Shop) -> None:
    """The last state is one that no later receipt takes back; each is kept once."""
    for number, order in enumerate(permutations(STATUSES)):
        delivery, sid = await shop.delivery(state=State.SENDING), f"SM{number:032}"
        for status in (*order, *order):
            await report(api, shop, delivery, status, sid)
        assert await shop.state(delivery) is State.DELIVERED, order
        rows = await shop.rows("SELECT status FROM receipts WHERE delivery_id = $1", delivery)
        assert sorted(row["status"] for row in rows) == sorted(STATUSES), order


@pytest.mark.parametrize("order", list(permutations(["sent", "delivered", "undelivered"])), ids="-".join)
async def test_of_several_parts_the_worst_wins_and_its_error_stays(
    api: Api, shop: Shop, order: tuple[str, ...]
) -> None:
    delivery = await shop.delivery(ref=SID)
    for status in order:
        await report(api, shop, delivery, status, **({"ErrorCode": "30003"} if status == "undelivered" else {}))
    (row,) = await shop.rows("SELECT state, reason, error FROM deliveries WHERE id = $1", delivery)
    assert row["state"] == "undelivered"
    assert row["reason"] == row["error"] is not None


@pytest.mark.parametrize("state", [State.SENDING, State.IN_DOUBT])
async def test_a_receipt_before_the_answer_settles_what_is_under_way_or_in_doubt(
    api: Api, shop: Shop, state: State
) -> None:
    delivery = await shop.delivery(state=state)
    await report(api, shop, delivery, "delivered")
    (row,) = await shop.rows("SELECT state, provider_ref, lease_until FROM deliveries WHERE id = $1", delivery)
    assert (row["state"], row["provider_ref"], row["lease_until"]) == ("delivered", SID, None)


async def test_the_failure_of_another_try_says_nothing_of_this_one(api: Api, shop: Shop) -> None:
    delivery = await shop.delivery(ref=SID)
    await report(api, shop, delivery, "undelivered", sid="SM" + "2" * 32)
    assert await shop.state(delivery) is State.SENT


async def test_unknown_fields_and_statuses_are_tolerated_and_kept(api: Api, shop: Shop) -> None:
    delivery = await shop.delivery(ref=SID)
    answer = await report(api, shop, delivery, "a_status_of_tomorrow", RawDlrDoneDate="2411221200", Ünknown="✓")
    assert answer.status == 200
    assert await shop.state(delivery) is State.SENT
    (row,) = await shop.rows("SELECT status, body, disposition FROM receipts")
    assert (row["status"], row["disposition"]) == ("a_status_of_tomorrow", "ignored")
    assert b"RawDlrDoneDate=2411221200" in bytes(row["body"])


async def test_a_bad_signature_is_refused_kept_and_shown_to_staff_once_a_day(api: Api, shop: Shop) -> None:
    delivery = await shop.delivery(ref=SID)
    path = f"/api/v1/callbacks/messages/{shop.report_token(delivery)}/status"
    for status in ("delivered", "undelivered"):
        form = {"MessageSid": SID, "MessageStatus": status}
        answer = await api("POST", path, **signed(f"{api.url}{path}", form, "another's token"))
        assert (answer.status, answer.json["code"]) == (403, "receipt-signature-invalid")
    assert await shop.state(delivery) is State.SENT
    rows = await shop.rows("SELECT disposition FROM receipts")
    assert [row["disposition"] for row in rows] == ["quarantined"] * 2
    assert len(await shop.rows("SELECT FROM alerts WHERE kind = 'receipt_quarantined'")) == 1


@pytest.mark.parametrize("token", ["x" * 40, "short", "%00" * 20, "A" * 2_000])
async def test_an_address_that_nobody_was_given_is_404(api: Api, token: str) -> None:
    answer = await api("POST", f"/api/v1/callbacks/messages/{token}/status", {})
    assert (answer.status, answer.json["code"]) == (404, "receipt-address-unknown")


async def test_a_provider_cannot_speak_of_another_organisations_delivery(
    api: Api, shop: Shop, services: Services
) -> None:
    other = await Shop.of(await organisation(services, "Bulawayo Bulk"), GATEWAY)
    delivery = await shop.delivery(ref=SID)
    path = f"/api/v1/callbacks/messages/{other.token}/status?d={delivery}"
    answer = await api("POST", path, {"id": SID, "status": "DELIVRD"})
    await other.settled()
    assert answer.status == 200
    assert await shop.state(delivery) is State.SENT


async def test_receipts_are_taken_only_from_the_providers_networks_where_it_names_some(api: Api, org: Org) -> None:
    providers = org.services.telling.providers
    shop = await Shop.of(org, GATEWAY)
    await providers.change(org.owner, shop.account.id, {"addresses": ["192.0.2.0/24"]})
    answer = await api("POST", f"/api/v1/callbacks/messages/{shop.token}/status", {"id": SID, "status": "DELIVRD"})
    assert (answer.status, answer.json["code"]) == (403, "receipt-address-refused")


async def test_a_report_that_overtakes_the_name_of_its_message_waits_for_it(api: Api, org: Org) -> None:
    """It names the message by the gateway's own name, which our answer has not told us yet."""
    shop = await Shop.of(org, GATEWAY)
    delivery = await shop.delivery(state=State.SENDING)
    path = f"/api/v1/callbacks/messages/{shop.token}/status"
    answer = await api("POST", path, {"id": "G-1", "status": "DELIVRD"})
    assert answer.json == {"received": True}
    await shop.settled()
    assert await shop.state(delivery) is State.SENDING
    await shop.rows("UPDATE deliveries SET provider_ref = 'G-1', state = 'sent', lease_until = NULL")
    await swept(shop)
    assert await shop.state(delivery) is State.DELIVERED


async def test_a_report_of_no_message_of_ours_is_closed_as_unknown_in_the_end(api: Api, org: Org) -> None:
    shop = await Shop.of(org, GATEWAY)
    await api("POST", f"/api/v1/callbacks/messages/{shop.token}/status", {"id": "G-2", "status": "DELIVRD"})
    await shop.settled()
    await swept(shop)
    assert [row["disposition"] for row in await shop.rows("SELECT disposition FROM receipts")] == [None]
    await shop.rows("UPDATE receipts SET received_at = received_at - interval '16 minutes'")
    await swept(shop)
    assert [row["disposition"] for row in await shop.rows("SELECT disposition FROM receipts")] == ["unknown"]


async def swept(shop: Shop) -> None:
    await shop.rows("UPDATE receipts SET due_at = now() - interval '1 day' WHERE disposition IS NULL")
    await shop.org.services.telling.receipt_sweep.run()


async def test_what_was_stored_and_not_worked_on_is_finished_by_the_sweep(api: Api, org: Org) -> None:
    """The process died right after the row was committed."""
    shop = await Shop.of(org, GATEWAY)
    delivery = await shop.delivery(ref="G-3")
    await stored_only(shop, {"id": "G-3", "status": "UNDELIV"})
    assert await shop.state(delivery) is State.SENT
    await asyncio.gather(swept(shop), swept(shop))
    assert await shop.state(delivery) is State.UNDELIVERED


async def stored_only(shop: Shop, body: Mapping[str, Any]) -> None:
    from waypost.notifications.providers.reports import Road
    from waypost.notifications.receipts.domain import Receipt

    services, now = shop.org.services, shop.org.services.clock.now()
    row = Receipt(
        shop.org.org_id, new_id(services.clock), shop.account.id, Road.STATUS, str(body["id"]), str(body["status"]),
        None, json.dumps(body).encode(), now, now,
    )  # fmt: skip
    async with services.database.transaction(SYSTEM) as conn:
        assert await storage.add(conn, row)


async def test_many_receipts_of_one_message_at_once_leave_it_in_one_state(api: Api, shop: Shop) -> None:
    delivery = await shop.delivery(ref=SID)
    path = f"/api/v1/callbacks/messages/{shop.report_token(delivery)}/status"
    forms = [{"MessageSid": SID, "MessageStatus": status, "N": str(n)} for n in range(5) for status in STATUSES]
    answers = await asyncio.gather(*(api("POST", path, **signed(f"{api.url}{path}", form)) for form in forms))
    assert {answer.status for answer in answers} == {200}
    await shop.settled()
    await swept(shop)
    assert await shop.state(delivery) is State.DELIVERED
    rows = await shop.rows("SELECT disposition FROM receipts")
    assert len(rows) == len(forms)
    assert sum(row["disposition"] == "applied" for row in rows) == 1


async def test_staff_see_the_receipts_of_a_delivery_as_they_came(api: Api, shop: Shop) -> None:
    delivery = await shop.delivery(ref=SID)
    await report(api, shop, delivery, "delivered")
    owner = api.as_(await shop.org.token())
    answer = await owner("GET", f"/api/v1/message-receipts?deliveryId={delivery}")
    (row,) = answer.json["data"]
    assert (row["disposition"], row["providerRef"], row["status"]) == ("applied", SID, "delivered")


# Bounces


HOOK = {"type": "hard", "email": "chipo@example.com", "code": "5.1.1"}


async def bounce(api: Api, shop: Shop, body: Any) -> Answer:
    answer = await api("POST", f"/api/v1/callbacks/messages/{shop.token}/bounces", body)
    await shop.settled()
    return answer


async def mailed(shop: Shop, **of: Any) -> UUID:
    return await shop.delivery(to="chipo@example.com", channel=ChannelName.EMAIL, **of)


async def test_a_hard_bounce_stops_the_address_at_once(api: Api, org: Org) -> None:
    shop = await Shop.of(org, MAIL, "shop@example.com")
    delivery = await mailed(shop)
    await bounce(api, shop, {**HOOK, "deliveryId": str(delivery)})
    assert await shop.state(delivery) is State.UNDELIVERED
    assert await shop.suppressed() == [("chipo@example.com", "", "hard_bounce")]


async def test_soft_bounces_stop_the_address_by_their_number_within_days(api: Api, org: Org) -> None:
    shop = await Shop.of(org, MAIL, "shop@example.com")
    for number in range(3):
        assert await shop.suppressed() == []
        delivery = await mailed(shop)
        for _ in range(2):  # the same one twice is one
            await bounce(api, shop, {"type": "soft", "email": "chipo@example.com", "deliveryId": str(delivery)})
        if number == 0:
            await shop.rows("UPDATE bounces SET at = at - interval '8 days'")  # too long ago to count
    assert await shop.suppressed() == []
    delivery = await mailed(shop)
    await bounce(api, shop, {"type": "soft", "email": "chipo@example.com", "deliveryId": str(delivery)})
    assert await shop.suppressed() == [("chipo@example.com", "", "soft_bounces")]


async def test_what_arrives_after_bounces_proves_the_address_good(api: Api, org: Org) -> None:
    shop = await Shop.of(org, MAIL, "shop@example.com")
    for _ in range(3):
        await bounce(api, shop, {"type": "soft", "email": "chipo@example.com", "deliveryId": str(await mailed(shop))})
    assert await shop.suppressed() != []
    early, late = await mailed(shop), await mailed(shop)
    await shop.rows("UPDATE deliveries SET sent_at = sent_at - interval '1 day' WHERE id = $1", early)
    await bounce(api, shop, {"type": "delivered", "email": "chipo@example.com", "deliveryId": str(early)})
    assert await shop.suppressed() != []  # it was sent before the bounces
    await bounce(api, shop, {"type": "delivered", "email": "chipo@example.com", "deliveryId": str(late)})
    assert await shop.suppressed() == []
    await bounce(api, shop, {"type": "soft", "email": "chipo@example.com", "deliveryId": str(await mailed(shop))})
    assert await shop.suppressed() == []  # counted anew


async def test_a_complaint_is_no_bounce_and_stops_the_address(api: Api, org: Org) -> None:
    shop = await Shop.of(org, MAIL, "shop@example.com")
    delivery = await mailed(shop)
    await bounce(api, shop, {"type": "complaint", "email": "chipo@example.com", "deliveryId": str(delivery)})
    assert await shop.state(delivery) is State.DELIVERED
    assert await shop.suppressed() == [("chipo@example.com", "", "complaint")]


async def test_a_mail_that_was_taken_may_bounce_later(api: Api, org: Org) -> None:
    shop = await Shop.of(org, MAIL, "shop@example.com")
    delivery = await mailed(shop, state=State.DELIVERED)
    await bounce(api, shop, {**HOOK, "deliveryId": str(delivery)})
    assert await shop.state(delivery) is State.UNDELIVERED


async def test_a_mail_servers_own_message_is_understood(api: Api, org: Org) -> None:
    from tests.unit.test_mail_reports import DELIVERY, dsn

    shop = await Shop.of(org, MAIL, "shop@example.com")
    delivery = await mailed(shop)
    body = dsn().replace(str(DELIVERY), str(delivery)).encode()
    path = f"/api/v1/callbacks/messages/{shop.token}/bounces"
    answer = await api("POST", path, data=body, headers={"Content-Type": "message/rfc822"})
    await shop.settled()
    assert answer.status == 200
    assert await shop.state(delivery) is State.UNDELIVERED
    (row,) = await shop.rows("SELECT body FROM receipts")
    assert bytes(row["body"]) == body


async def test_the_houses_mail_server_speaks_of_whose_message_it_was(api: Api, org: Org, services: Services) -> None:
    """Organisations without a mail server of their own share the installation's."""
    shop = await Shop.of(org)
    delivery = await mailed(shop)
    path = f"/api/v1/callbacks/messages/{services.telling.tokens.house_token()}/bounces"
    answer = await api("POST", path, {**HOOK, "deliveryId": str(delivery)})
    await shop.settled()
    assert answer.status == 200
    assert await shop.suppressed() == [("chipo@example.com", "", "hard_bounce")]
    nobodys = await api("POST", path, {**HOOK, "deliveryId": str(UUID(int=7))})
    assert nobodys.status == 404
    by_sms = await api("POST", path.replace("/bounces", "/status"), {**HOOK, "deliveryId": str(delivery)})
    assert by_sms.status == 404


async def test_a_question_whether_the_address_is_ours_is_an_alert(api: Api, org: Org) -> None:
    shop = await Shop.of(org, MAIL, "shop@example.com")
    link = "https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription"
    body = {"Type": "SubscriptionConfirmation", "TopicArn": "arn", "Message": "m", "SubscribeURL": link}
    await bounce(api, shop, body)
    (row,) = await shop.rows("SELECT facts FROM alerts WHERE kind = 'bounces_to_confirm'")
    assert json.loads(row["facts"])["link"] == link


@pytest.mark.parametrize("body", [b"", b"\x00\xff\xfe", b"[[[[", b"{}", b'{"type": "hard"}'], ids=range(5))
async def test_whatever_is_sent_is_kept_and_answered_with_yes(api: Api, org: Org, body: bytes) -> None:
    shop = await Shop.of(org, GATEWAY)
    for caller in (shop, await Shop.of(org, MAIL, "shop@example.com")):
        for road in ("status", "inbound", "opt-out", "bounces"):
            path = f"/api/v1/callbacks/messages/{caller.token}/{road}"
            answer = await api("POST", path, data=body, headers={"Content-Type": "application/json"})
            assert answer.status == 200, road
    await shop.settled()
    rows = await shop.rows("SELECT body, disposition FROM receipts")
    assert {bytes(row["body"]) for row in rows} == {body}
    assert {row["disposition"] for row in rows} <= {"unknown"}


async def test_the_parts_and_the_cost_that_a_report_names_are_kept(api: Api, shop: Shop) -> None:
    delivery = await shop.delivery(ref=SID)
    async with shop.org.services.database.transaction(SYSTEM) as conn:
        await storage.charge(conn, shop.org.org_id, delivery, 2, None, None)
        await storage.charge(conn, shop.org.org_id, delivery, None, None, None)
    (row,) = await shop.rows("SELECT segments, cost FROM deliveries WHERE id = $1", delivery)
    assert (row["segments"], row["cost"]) == (2, None)


# What people write


async def write(api: Api, shop: Shop, text: str, *, number: int = 1, to: str = OURS, sender: str = THEIRS) -> Answer:
    path = f"/api/v1/callbacks/messages/{shop.token}/inbound"
    form = {"MessageSid": f"SM{number:032}", "From": sender, "To": to, "Body": text, "NumMedia": "0"}
    answer = await api("POST", path, **signed(f"{api.url}{path}", form))
    await shop.settled()
    return answer


async def test_stop_silences_the_number_that_it_was_written_to_and_start_undoes_it(api: Api, shop: Shop) -> None:
    answer = await write(api, shop, "Stop")
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/xml; charset=utf-8")
    assert b"<Response/>" in answer.json
    assert await shop.suppressed() == [(THEIRS, OURS, "stop")]
    await write(api, shop, "START", number=2)
    assert await shop.suppressed() == []
    await write(api, shop, "STOP", number=3)
    assert await shop.suppressed() == [(THEIRS, OURS, "stop")]


async def test_the_same_message_twice_is_one(api: Api, shop: Shop) -> None:
    for text in ("STOP", "STOP"):
        await write(api, shop, text)
    assert len(await shop.rows("SELECT FROM inbound_messages")) == 1
    assert len(await shop.rows("SELECT FROM suppressions")) == 1


async def test_a_gateway_without_message_ids_may_bring_the_same_words_again(api: Api, org: Org) -> None:
    """STOP, START, STOP: the last one counts, though it looks like the first."""
    shop = await Shop.of(org, GATEWAY)
    path = f"/api/v1/callbacks/messages/{shop.token}/inbound"
    for text in ("STOP", "START", "STOP"):
        await api("POST", path, {"from": THEIRS.lstrip("+"), "to": OURS, "text": text})
        await shop.settled()
    assert await shop.suppressed() == [(THEIRS, OURS, "stop")]


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_gateway_may_say_all_in_the_address_it_calls(api: Api, org: Org, method: str) -> None:
    """With an empty body; it stands in the row, too, for who finishes the work later."""
    shop = await Shop.of(org, GATEWAY)
    path = f"/api/v1/callbacks/messages/{shop.token}"
    await api(method, f"{path}/inbound?from={THEIRS.lstrip('+')}&to={OURS.replace('+', '%2B')}&text=STOP")
    await shop.settled()
    assert await shop.suppressed() == [(THEIRS, OURS, "stop")]
    delivery = await shop.delivery(ref="G-9")
    await api(method, f"{path}/status?id=G-9&status=DELIVRD")
    await shop.settled()
    assert await shop.state(delivery) is State.DELIVERED


async def test_any_other_message_is_shown_to_staff_who_are_told_once_a_day(api: Api, shop: Shop) -> None:
    await write(api, shop, "When do you open?")
    await write(api, shop, "Please stop the truck at the gate", number=2)
    assert await shop.suppressed() == []
    owner = api.as_(await shop.org.token())
    answer = await owner("GET", f"/api/v1/inbound-messages?from={THEIRS.replace('+', '%2B')}")
    assert [row["text"] for row in answer.json["data"]] == ["Please stop the truck at the gate", "When do you open?"]
    assert len(await shop.rows("SELECT FROM alerts WHERE kind = 'message_received'")) == 1


async def test_the_provider_itself_may_say_that_somebody_opted_out(api: Api, org: Org) -> None:
    shop = await Shop.of(org, GATEWAY)
    await api("POST", f"/api/v1/callbacks/messages/{shop.token}/opt-out", {"from": THEIRS, "to": OURS})
    await shop.settled()
    assert await shop.suppressed() == [(THEIRS, OURS, "opted_out")]


async def test_stop_to_one_organisation_says_nothing_to_another(api: Api, shop: Shop, services: Services) -> None:
    """Even where both send from the same number."""
    other = await Shop.of(await organisation(services, "Bulawayo Bulk"))
    await write(api, shop, "STOP")
    assert await shop.suppressed() == [(THEIRS, OURS, "stop")]
    assert await other.suppressed() == []
    await write(api, other, "STOP", number=2)
    await write(api, shop, "START", number=3)
    assert await shop.suppressed() == []
    assert await other.suppressed() == [(THEIRS, OURS, "stop")]
