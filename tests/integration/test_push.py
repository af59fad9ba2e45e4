"""Web push: browsers subscribe, a worker pushes to them, and those that are gone are forgotten."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from tests.conftest import Api
from tests.factories import Org, organisation
from tests.fakes.faces.push import Browser, PushService
from tests.fakes.plays import Play
from tests.fakes.provider import FakeProvider, fake_provider
from waypost.kernel.errors import Denied
from waypost.kernel.principal import Principal, Role
from waypost.notifications.addresses import ChannelName
from waypost.notifications.domain import Message, Text
from waypost.notifications.push import storage
from waypost.notifications.push.domain import MOST_EACH, Keys, of_base64url
from waypost.notifications.push.keys import VapidKeys
from waypost.notifications.push.service import PushBook
from waypost.notifications.states import Outcome, OutcomeKind
from waypost.platform.database import SYSTEM, Database, PoolSize, open_database
from waypost.platform.guarded import Guard
from waypost.platform.rotation import rotate
from waypost.platform.secretbox import SecretBox, new_key
from waypost.wiring import Services
from waypost_workers.channels import open_channels

OWN = "/api/v1/push/subscriptions"
ALLOWED = "127.0.0.0/8"
ROWS = "SELECT * FROM push_subscriptions ORDER BY id"


@pytest.fixture
def environment(environment: dict[str, str]) -> dict[str, str]:
    return environment | {"WAYPOST_WEBHOOK_ALLOWED_NETWORKS": ALLOWED}


@pytest.fixture
async def fake() -> AsyncIterator[FakeProvider]:
    async with fake_provider() as opened:
        yield opened


def service(fake: FakeProvider) -> PushService:
    face = fake.faces["push"]
    assert isinstance(face, PushService)
    return face


async def subscribed(org: Org, browser: Browser, who: Principal | None = None) -> UUID:
    keys = browser.subscription["keys"]
    made = await org.services.telling.push.subscribe(
        who or org.owner, browser.endpoint, Keys(of_base64url(keys["p256dh"]), of_base64url(keys["auth"])), "Firefox"
    )
    return made.id


def message(org: Org, subscription_id: UUID, body: str = "Twilio does not answer", **changes: Any) -> Message:
    made = Message(
        org_id=org.org_id,
        delivery_id=UUID(int=2),
        notification_id=UUID(int=3),
        kind="alert_raised",
        channel=ChannelName.PUSH,
        address=str(subscription_id),
        recipient="Tariro",
        sender="Jacaranda",
        attempt=1,
        budget=8,
        text=Text("t", "A provider is out", body),
    )
    return replace(made, **changes)


async def push(org: Org, message: Message) -> Outcome:
    async with open_channels(org.services) as channels:
        return await channels[ChannelName.PUSH].send(message)


async def rows(org: Org) -> list[Any]:
    async with org.services.database.transaction(SYSTEM) as conn:
        return list(await conn.fetch(ROWS))


async def live(org: Org) -> list[UUID]:
    return [row["id"] for row in await rows(org) if row["ended_at"] is None]


async def test_a_browser_shows_what_was_pushed_with_topic_urgency_and_end(org: Org, fake: FakeProvider):
    browser = service(fake).browse()
    subscription_id = await subscribed(org, browser)
    outcome = await push(org, message(org, subscription_id))
    assert (outcome.kind, outcome.status) == (OutcomeKind.ACCEPTED, 201)
    assert outcome.reference is not None
    ((shown, headers),) = browser.shown
    assert (shown["title"], shown["body"], shown["tag"]) == (
        "A provider is out", "Twilio does not answer", str(UUID(int=3)),
    )  # fmt: skip
    assert (headers["Topic"], headers["Urgency"], headers["TTL"]) == (UUID(int=3).hex, "high", "86400")
    ((row),) = await rows(org)
    assert row["last_sent_at"] is not None


async def test_a_repeat_has_the_same_topic_and_tag_so_it_replaces(org: Org, fake: FakeProvider):
    browser = service(fake).browse()
    subscription_id = await subscribed(org, browser)
    fake.play(Play("drop"))
    assert (await push(org, message(org, subscription_id))).kind is OutcomeKind.UNKNOWN
    assert (await push(org, message(org, subscription_id, attempt=2))).kind is OutcomeKind.ACCEPTED
    (first, head), (second, other) = browser.shown
    assert (first["tag"], head["Topic"]) == (second["tag"], other["Topic"])


async def test_a_long_text_in_letters_of_four_bytes_fits(org: Org, fake: FakeProvider):
    browser = service(fake).browse()
    outcome = await push(org, message(org, await subscribed(org, browser), "🚚" * 5000))
    assert outcome.kind is OutcomeKind.ACCEPTED
    assert browser.shown[0][0]["body"].startswith("🚚🚚")
    assert browser.shown[0][0]["body"].endswith("🚚…")
    assert int(fake.calls[0][1]["length"]) <= 4096


async def test_one_that_is_found_too_long_all_the_same_is_said_shorter(org: Org, fake: FakeProvider):
    browser = service(fake).browse()
    subscription_id = await subscribed(org, browser)
    fake.play(Play("refuse", code="413"))
    assert (await push(org, message(org, subscription_id, "x" * 3000))).kind is OutcomeKind.ACCEPTED
    assert len(browser.shown[0][0]["body"]) < 1500


@pytest.mark.parametrize("code", ["404", "410", "403"])
async def test_who_is_gone_is_forgotten(org: Org, fake: FakeProvider, code: str):
    gone, other = service(fake).browse(), service(fake).browse()
    subscription_id, stays = await subscribed(org, gone), await subscribed(org, other)
    fake.play(Play("refuse", code=code))
    assert (await push(org, message(org, subscription_id))).kind is OutcomeKind.REFUSED
    assert await live(org) == [stays]
    outcome = await push(org, message(org, subscription_id))
    assert (outcome.kind, outcome.reason, gone.shown) == (OutcomeKind.REFUSED, "push_gone", [])


@pytest.mark.parametrize(
    ("play", "kind", "reason", "wait_s"),
    [
        (Play("limit", retry_after_s=7), OutcomeKind.NOT_SENT, "push_busy", 7.0),
        (Play("unavailable"), OutcomeKind.NOT_SENT, "push_busy", None),
        (Play("bad"), OutcomeKind.REFUSED, "push_http_400", None),
        (Play("error"), OutcomeKind.UNKNOWN, "push_http_500", None),
        (Play("cut"), OutcomeKind.UNKNOWN, "push_cut_off", None),
    ],
    ids=["limit", "unavailable", "bad", "error", "cut"],
)
async def test_each_answer_has_its_class(
    org: Org, fake: FakeProvider, play: Play, kind: OutcomeKind, reason: str, wait_s: float | None
):
    subscription_id = await subscribed(org, service(fake).browse())
    fake.play(play)
    outcome = await push(org, message(org, subscription_id))
    assert (outcome.kind, outcome.reason, outcome.retry_after_s) == (kind, reason, wait_s)
    assert await live(org) == [subscription_id]


async def test_a_service_that_never_answers_is_left_in_time(org: Org, fake: FakeProvider):
    subscription_id = await subscribed(org, service(fake).browse())
    fake.play(Play("silent"))
    short = org.services.settings.model_copy(update={"delivery_send_timeout_s": 0.3})
    services = replace(org.services, settings=short)
    outcome = await push(replace(org, services=services), message(org, subscription_id))
    assert (outcome.kind, outcome.reason) == (OutcomeKind.UNKNOWN, "push_timeout")


async def test_a_service_that_is_not_there_means_surely_not_sent(org: Org, fake: FakeProvider):
    browser = service(fake).browse()
    subscription_id = await subscribed(org, Browser("http://127.0.0.1:1/push/0", browser.key, browser.auth))
    outcome = await push(org, message(org, subscription_id))
    assert (outcome.kind, outcome.reason) == (OutcomeKind.NOT_SENT, "push_connect")


@asynccontextmanager
async def own_database(org: Org) -> AsyncIterator[tuple[Org, Database]]:
    """The channel's book has connections of its own, which a test may cut."""
    settings, telling = org.services.settings, org.services.telling
    assert settings.database_url is not None
    size = PoolSize(settings.pool_min, settings.pool_max, settings.pool_wait_s, pooler=settings.database_pooler)
    database = await open_database(settings.database_url.get_secret_value(), size=size)
    try:
        book = replace(telling.push, database=database)
        yield replace(org, services=replace(org.services, telling=replace(telling, push=book))), database
    finally:
        await database.close()


async def test_a_database_that_is_away_before_the_call_means_surely_not_sent(org: Org, fake: FakeProvider):
    subscription_id = await subscribed(org, service(fake).browse())
    async with own_database(org) as (cut, database):
        database.system_pool.terminate()
        outcome = await push(cut, message(org, subscription_id))
    assert (outcome.kind, outcome.reason) == (OutcomeKind.NOT_SENT, "push_not_looked_up")
    assert fake.calls == []


@pytest.mark.parametrize(
    ("code", "kind"), [("", OutcomeKind.ACCEPTED), ("410", OutcomeKind.REFUSED)], ids=["taken", "gone"]
)
async def test_a_database_that_goes_away_during_the_call_changes_nothing_of_its_outcome(
    org: Org, fake: FakeProvider, code: str, kind: OutcomeKind
):
    browser = service(fake).browse()
    subscription_id = await subscribed(org, browser)
    if code:
        fake.play(Play("refuse", code=code))
    async with (
        own_database(org) as (cut, database),
        open_channels(cut.services, lambda _moment: database.system_pool.terminate()) as channels,
    ):
        outcome = await channels[ChannelName.PUSH].send(message(org, subscription_id))
    assert outcome.kind is kind
    assert await live(org) == [subscription_id]  # not noted, and found again at the next


@pytest.mark.parametrize("address", ["", "not an id", str(UUID(int=5))])
async def test_an_address_that_is_no_subscription_is_gone(org: Org, address: str):
    outcome = await push(org, replace(message(org, UUID(int=1)), address=address))
    assert (outcome.kind, outcome.reason) == (OutcomeKind.REFUSED, "push_gone")


async def test_a_worker_never_calls_an_address_inside(org: Org, fake: FakeProvider):
    subscription_id = await subscribed(org, service(fake).browse())
    shut = org.services.settings.model_copy(update={"webhook_allowed_networks": ""})
    outcome = await push(replace(org, services=replace(org.services, settings=shut)), message(org, subscription_id))
    assert (outcome.kind, outcome.reason) == (OutcomeKind.REFUSED, "push_host_refused")
    assert fake.calls == []


async def test_a_browser_that_subscribes_again_is_the_same_row(org: Org, fake: FakeProvider):
    browser = service(fake).browse()
    first = await subscribed(org, browser)
    renewed = Browser(browser.endpoint, browser.key, b"another secret..")
    assert await subscribed(org, renewed) == first
    target = await org.services.telling.push.target(org.org_id, first)
    assert target is not None
    assert target.keys.auth == b"another secret.."


async def test_who_signs_in_at_the_same_browser_takes_it_over(org: Org, fake: FakeProvider):
    browser, (other, _) = service(fake).browse(), await org.person(Role.DISPATCHER)
    first, second = await subscribed(org, browser), await subscribed(org, browser, other)
    assert await live(org) == [second]
    assert (await push(org, message(org, first))).reason == "push_gone"


async def test_two_who_subscribe_one_browser_at_once_leave_one_of_them(org: Org, fake: FakeProvider):
    browser = service(fake).browse()
    people = [org.owner, *[(await org.person(Role.VIEWER))[0] for _ in range(5)]]
    made = await asyncio.gather(*(subscribed(org, browser, person) for person in people))
    (left,) = await live(org)
    assert left in made


async def test_of_one_person_the_newest_browsers_stay(org: Org, fake: FakeProvider):
    made = [await subscribed(org, service(fake).browse()) for _ in range(MOST_EACH + 2)]
    assert await live(org) == made[2:]


async def test_people_and_their_browsers_are_found_for_the_relay(org: Org, fake: FakeProvider):
    (other, _) = await org.person(Role.DISPATCHER)
    mine, theirs = [await subscribed(org, service(fake).browse(), who) for who in (org.owner, other)]
    assert org.owner.user_id is not None
    assert other.user_id is not None
    ids = [org.owner.user_id, other.user_id, UUID(int=1)]
    async with org.services.database.transaction(SYSTEM) as conn:
        found = await storage.of_users(conn, org.org_id, ids)
        nobody = await storage.of_customers(conn, org.org_id, ids)
    assert (found, nobody) == ({org.owner.user_id: [mine], other.user_id: [theirs]}, {})


async def test_the_key_is_one_for_all_processes_and_is_stored_sealed(services: Services):
    books = [VapidKeys(services.database, services.clock, services.box, "mailto:a@b.example") for _ in range(5)]
    keys = {vapid.public_key for vapid in await asyncio.gather(*(book.get() for book in books))}
    assert keys == {await services.telling.push.public_key()}
    async with services.database.transaction(SYSTEM) as conn:
        (row,) = await conn.fetch("SELECT * FROM house_keys")
    assert len(services.box.open(row["value"])) == 32


async def test_keys_and_subscriptions_are_sealed_anew_with_a_new_key(org: Org, fake: FakeProvider):
    subscription_id = await subscribed(org, service(fake).browse())
    before = await org.services.telling.push.public_key()
    old, new = org.services.settings.encryption_keys, new_key()
    assert old is not None
    await rotate(org.services.database, SecretBox.of(f"{new},{old.get_secret_value()}"), lambda _table, _done: None)
    only_new, services = SecretBox.of(new), org.services
    vapid = VapidKeys(services.database, services.clock, only_new, "mailto:a@b.example")
    book = PushBook(services.database, services.clock, only_new, vapid, Guard())
    assert await book.public_key() == before
    assert await book.target(org.org_id, subscription_id) is not None


async def test_a_device_subscribes_nowhere(org: Org, fake: FakeProvider):
    browser = service(fake).browse()
    device = Principal(org.org_id, Role.DRIVER, device_id=UUID(int=1))
    with pytest.raises(Denied):
        await subscribed(org, browser, device)


async def test_a_person_sees_and_ends_their_own_browsers_alone(api: Api, org: Org, fake: FakeProvider):
    owner, browser = api.as_(await org.token()), service(fake).browse()
    key = (await owner("GET", "/api/v1/push/key")).json["publicKey"]
    assert len(of_base64url(key)) == 65
    made = await owner("POST", OWN, json=browser.subscription)
    assert (made.status, set(made.json)) == (201, {"id", "agent", "createdAt"})
    assert [each["id"] for each in (await owner("GET", OWN)).json["data"]] == [made.json["id"]]
    other = api.as_(await (await organisation(org.services)).token())
    colleague = api.as_(await org.token((await org.person(Role.OWNER))[1]))
    for stranger in (other, colleague):
        assert (await stranger("GET", OWN)).json["data"] == []
        assert (await stranger("DELETE", f"{OWN}/{made.json['id']}")).status == 404
    for _ in range(2):
        assert (await owner("DELETE", f"{OWN}/{made.json['id']}")).status == 204
    assert await live(org) == []
    actions = [entry["action"] for entry in (await owner("GET", "/api/v1/audit")).json["data"]]
    assert actions[:2] == ["push.unsubscribed", "push.subscribed"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"endpoint": "ftp://push.example/x"}, "endpoint"),
        ({"endpoint": "https://10.0.0.1/x"}, "endpoint"),
        ({"endpoint": "https://me:secret@push.example/x"}, "endpoint"),
        ({"keys": {"p256dh": "A" * 87, "auth": "A" * 22}}, "keys.p256dh"),
        ({"keys": {"p256dh": "BA" + "B" * 85, "auth": "A" * 22}}, "keys.p256dh"),
        ({"keys": {"p256dh": "A" * 43, "auth": "A" * 22}}, "keys.p256dh"),
        ({"keys": {"auth": "A" * 22}}, "keys.p256dh"),
        ({"surprise": 1}, "surprise"),
    ],
    ids=["scheme", "inside", "login", "no-point", "off-curve", "short", "missing", "unknown"],
)
async def test_what_is_no_subscription_is_refused_by_name(
    api: Api, org: Org, fake: FakeProvider, change: dict[str, Any], field: str
):
    owner = api.as_(await org.token())
    answer = await owner("POST", OWN, json=service(fake).browse().subscription | change)
    assert (answer.status, answer.json["errors"][0]["field"]) == (422, field)
