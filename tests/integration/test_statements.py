"""Providers' statements: each line matched, booked or left to a person, once, whatever happens on the way."""

from __future__ import annotations

import asyncio
import io
from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from tests import statements
from tests.conftest import Api
from tests.factories import Org, organisation
from tests.statements import daraja, import_, line
from tests.tills import Shop
from waypost.kernel.principal import Role
from waypost.payments.domain import Disposition
from waypost.payments.providers.accounts import ProviderAccount
from waypost.payments.statement_lines import SIMPLE
from waypost.payments.storage_statements import Outcome, State
from waypost.platform.database import SYSTEM
from waypost.wiring import Services
from waypost.wiring_ground import needed
from waypost_workers.pokes import statement_pokes
from waypost_workers.queues import QueueName, close_queues, open_queues

PATH = "/api/v1/payments/statements"


@pytest.fixture
async def shop(org: Org) -> Shop:
    return await Shop.of(org)


@pytest.fixture
async def account(shop: Shop) -> ProviderAccount:
    return await daraja(shop)


@pytest.fixture
def noon(shop: Shop) -> datetime:
    return shop.services.clock.now().replace(microsecond=0) - timedelta(hours=2)


async def test_each_line_becomes_what_it_should(shop: Shop, account: ProviderAccount, noon: datetime):
    layby = await shop.layby()
    await shop.pay(layby, 5_00, "KNOWN1")
    await shop.pay(layby, 6_00, "DIFFERS")
    ended, lines = await import_(
        shop,
        account,
        [
            line("TAKEN1", noon, withdrawn="-10.00", linked="NEW1"),  # the newest stands first
            line("TAKEN2", noon, withdrawn="5.00", linked="NOBODYS"),
            line("KNOWN1", noon, paid_in="5.00", account=layby.reference),
            line("KNOWN1", noon, withdrawn="-0.25"),
            line("DIFFERS", noon, paid_in="6.01", account=layby.reference),
            line("NEW1", noon, paid_in="10.00", account=layby.reference.lower()),
            line("NEW2", noon, paid_in="3.00", account="no such thing"),
            line("NEW2", noon, paid_in="3.00", account="no such thing"),
            line("FAILED1", noon, paid_in="9.00", account=layby.reference, status="Failed"),
            line("FEES1", noon, withdrawn="-100.00"),
            line("ODD1", noon, paid_in="1O.00"),
            line("", noon, paid_in="1.00"),
        ],
    )
    assert [str(each.outcome) for each in lines] == [
        "reversed", "review", "matched", "ignored", "review", "booked", "unmatched", "matched", "ignored", "ignored",
        "unreadable", "unreadable",
    ]  # fmt: skip
    assert [each.n for each in lines] == list(range(1, 13))
    assert lines[4].detail == "here it is 600 KES"
    assert (ended.state, ended.next_line, ended.lines) == (State.DONE, 24, 12)
    assert dict(ended.counts) == Counter(str(each.outcome) for each in lines)
    assert (ended.first_at, ended.last_at) == (noon, noon)
    rows = {row.receipt: row for row in await shop.rows()}
    assert rows["NEW1"].disposition is Disposition.APPLIED
    assert rows["NEW2"].disposition is Disposition.UNMATCHED
    assert rows["TAKEN1"].amount_minor == -10_00
    assert rows["DIFFERS"].amount_minor == 6_00
    assert (await shop.read(layby.id)).paid_minor == 30_00 + 5_00 + 6_00
    assert sorted(await shop.alerts()) == ["payment_review", "payment_review", "payment_unmatched"]
    assert [facts["receipt"] for kind, facts in await shop.told() if kind == "payment_reversed"] != []
    await shop.check()


async def test_the_same_file_twice_is_one_statement_and_a_longer_one_books_only_what_is_new(
    shop: Shop, account: ProviderAccount, noon: datetime
):
    layby = await shop.layby()
    lines = [line(f"R{n}", noon, paid_in="1.00", account=layby.reference) for n in range(3)]
    first, _ = await import_(shop, account, lines)
    again, _ = await import_(shop, account, lines)
    assert again == first
    longer, outcomes = await import_(shop, account, [*lines, line("R3", noon, paid_in="1.00", account=layby.reference)])
    assert longer.id != first.id
    assert [str(each.outcome) for each in outcomes] == ["matched", "matched", "matched", "booked"]
    assert (await shop.read(layby.id)).paid_minor == 34_00
    await shop.check()


async def test_a_payment_that_also_came_as_a_callback_is_booked_once(
    shop: Shop, account: ProviderAccount, noon: datetime
):
    layby = await shop.layby()
    statement = await statements.add(
        shop, account, [line(f"R{n}", noon, paid_in="1.00", account=layby.reference) for n in range(40)]
    )
    await asyncio.gather(
        statements.work(shop.services, shop.org.org_id, statement.id),
        *(shop.pay(layby, 1_00, f"R{n}") for n in range(0, 40, 3)),
        *(statements.work(shop.services, shop.org.org_id, statement.id) for _ in range(2)),
    )
    await statements.work(shop.services, shop.org.org_id, statement.id)
    ended, _ = await statements.read(shop, statement.id)
    assert (ended.state, ended.counts.get("matched", 0) + ended.counts["booked"]) == (State.DONE, 40)
    assert (await shop.read(layby.id)).paid_minor == 70_00
    await shop.check()


class Killed(BaseException):
    """The worker's process ends here."""


@pytest.mark.parametrize("point", ["step", "kept"])
async def test_a_worker_that_dies_leaves_a_statement_that_another_goes_on_with(
    shop: Shop, account: ProviderAccount, noon: datetime, point: str
):
    layby = await shop.layby(price=5_000_00, deposit=1_000_00)
    lines = [line(f"R{n}", noon, paid_in="1.00", account=layby.reference) for n in range(250)]
    lines += [line("BACK", noon, withdrawn="1.00", linked="R17")]
    statement = await statements.add(shop, account, lines)
    reader = shop.services.money.statement_reader
    deaths = 0

    def die(name: str, fraction: float) -> None:
        nonlocal deaths
        if name == point and fraction > 0.1:
            deaths += 1
            raise Killed

    for _ in range(20):
        try:
            await replace(reader, checkpoint=die).run(shop.org.org_id, statement.id)
        except Killed:
            async with shop.services.database.transaction(SYSTEM) as conn:
                await conn.execute("UPDATE payment_statements SET lease_until = now() - interval '1 second'")
        if point == "step":
            break
    await reader.run(shop.org.org_id, statement.id)
    ended, _ = await statements.read(shop, statement.id)
    assert deaths
    assert (ended.state, dict(ended.counts)) == (State.DONE, {"booked": 250, "reversed": 1})
    assert (await shop.read(layby.id)).paid_minor == 1_000_00 + 249_00
    await shop.check()


async def test_a_worker_whose_lease_ran_out_keeps_nothing_more(shop: Shop, account: ProviderAccount, noon: datetime):
    statement = await statements.add(shop, account, [line("R1", noon, paid_in="1.00", account="x")])
    reader = shop.services.money.statement_reader

    def overtaken(name: str, _fraction: float) -> None:
        if name == "step":
            overtaking.append(asyncio.get_running_loop().create_task(_claim()))

    async def _claim() -> None:
        async with shop.services.database.transaction(SYSTEM) as conn:
            await conn.execute("UPDATE payment_statements SET attempt = attempt + 1")

    overtaking: list[asyncio.Task[None]] = []
    await _claim()  # what the reader below holds is of an older attempt
    async with shop.services.database.transaction(SYSTEM) as conn:
        await conn.execute("UPDATE payment_statements SET lease_until = now() + interval '1 minute'")
    await replace(reader, checkpoint=overtaken).run(shop.org.org_id, statement.id)
    assert overtaking == []  # somebody holds it: not even begun
    assert await shop.rows() == []


async def test_a_short_turn_gives_the_statement_back_and_the_relay_gives_it_out_again(
    shop: Shop, account: ProviderAccount, noon: datetime
):
    lines = [line(f"R{n}", noon, paid_in="1.00", account="x") for n in range(150)]
    statement = await statements.add(shop, account, lines)
    services = shop.services
    async with services.database.transaction(SYSTEM) as conn:
        (poke,) = await services.money.statements.due_statements(conn, 10)
        assert await services.money.statements.due_statements(conn, 10) == []  # told of a moment ago
        await services.money.statements.untold(conn, [poke])
        assert await services.money.statements.due_statements(conn, 10) == [poke]
    await replace(services.money.statement_reader, slice_s=0).run(shop.org.org_id, statement.id)
    halfway, _ = await statements.read(shop, statement.id)
    assert (halfway.state, halfway.next_line) == (State.RUNNING, 100)
    async with services.database.transaction(SYSTEM) as conn:
        (poke,) = await services.money.statements.due_statements(conn, 10)
    assert (poke.id, poke.attempt) == (statement.id, 1)
    await statements.work(services, shop.org.org_id, statement.id)
    assert (await statements.read(shop, statement.id))[0].counts == {"unmatched": 150}


async def test_the_relay_tells_the_workers_of_each_statement_once(shop: Shop, account: ProviderAccount, noon: datetime):
    statement = await statements.add(shop, account, [line("R1", noon, paid_in="1.00", account="x")])
    services = shop.services
    queues = open_queues(needed(services.settings).redis_url)
    pokes = statement_pokes(services.database, services.money.statements)
    try:
        for _ in range(2):
            await pokes.give_out(queues)
        waiting = await queues.zrange(QueueName.JOBS.key, 0, -1)
    finally:
        await close_queues(queues)
    assert waiting == [f"s:{statement.id}:0".encode()]


async def test_a_file_that_cannot_be_worked_on_fails_after_a_few_tries_and_may_be_sent_again(
    shop: Shop, account: ProviderAccount, noon: datetime
):
    lines = [line("R1", noon, paid_in="1.00", account="x")]
    statement = await statements.add(shop, account, lines)
    reader = shop.services.money.statement_reader

    def fail(_name: str, _fraction: float) -> None:
        raise RuntimeError

    for _ in range(6):
        await replace(reader, checkpoint=fail).run(shop.org.org_id, statement.id)
        async with shop.services.database.transaction(SYSTEM) as conn:
            await conn.execute("UPDATE payment_statements SET lease_until = NULL")
    failed, _ = await statements.read(shop, statement.id)
    assert (failed.state, failed.error) == (State.FAILED, "RuntimeError")
    ended, _ = await import_(shop, account, lines)
    assert (ended.id, ended.state, ended.error) == (statement.id, State.DONE, None)


async def post(api: Api, path: str, body: bytes | str, **options: Any) -> Any:
    headers = {"Content-Type": "text/csv"} | options.pop("headers", {})
    data = io.BytesIO(body.encode() if isinstance(body, str) else body)  # whatever its size
    return await api("POST", path, data=data, headers=headers, **options)


async def test_a_statement_is_sent_in_followed_and_read_by_its_lines(
    api: Api, shop: Shop, account: ProviderAccount, noon: datetime, services: Services
):
    owner = api.as_(await shop.org.token())
    body = statements.file_of([line(f"R{n}", noon, paid_in="1.00", account="x") for n in range(3)])
    sent = await post(owner, f"{PATH}?providerId={account.id}&name=November.csv", body)
    assert sent.status == 202
    assert (sent.json["state"], sent.json["lines"], sent.json["progress"]) == ("queued", 3, 0.0)
    assert (sent.json["name"], sent.json["mapping"]["receipt"]) == ("November.csv", "Receipt No.")
    one = f"{PATH}/{sent.json['id']}"
    await statements.work(services, shop.org.org_id, UUID(sent.json["id"]))
    done = (await owner("GET", one)).json
    assert (done["state"], done["progress"], done["counts"]) == ("done", 1.0, {"unmatched": 3})
    first = await owner("GET", f"{one}/lines?limit=2")
    rest = await owner("GET", f"{one}/lines?limit=2&cursor={first.json['nextCursor']}")
    assert [each["n"] for each in first.json["data"] + rest.json["data"]] == [1, 2, 3]
    assert (await owner("GET", f"{one}/lines?outcome=matched")).json["data"] == []
    assert [each["id"] for each in (await owner("GET", f"{PATH}?providerId={account.id}")).json["data"]] == [done["id"]]
    again = await post(owner, f"{PATH}?providerId={account.id}&name=Again.csv", body)
    assert (again.status, again.json["id"]) == (202, done["id"])


async def test_another_mapping_is_named_in_the_query(
    api: Api, shop: Shop, account: ProviderAccount, services: Services
):
    owner = api.as_(await shop.org.token())
    body = "id;when;in\nR1;01/02/2026 10:00;1.000,50\n"
    query = (
        f"providerId={account.id}&receipt=id&time=when&paidIn=in&withdrawn=&status=&account=&linked=&order=dmy"
        "&zone=UTC&thousands=.&decimalMark=,"
    )
    sent = await post(owner, f"{PATH}?{query}", body)
    assert sent.status == 202, sent.json
    await statements.work(services, shop.org.org_id, UUID(sent.json["id"]))
    (read,) = (await owner("GET", f"{PATH}/{sent.json['id']}/lines")).json["data"]
    assert (read["outcome"], read["amountMinor"], read["paidAt"]) == ("unmatched", 100050, "2026-02-01T10:00:00.000Z")


HEADER = "receipt,time,paid_in,reference\n"
REFUSED: dict[str, tuple[str, bytes, dict[str, str], int, str]] = {
    "no provider": ("", b"x", {}, 400, "bad-query"),
    "an unknown provider": (f"providerId={UUID(int=1)}", HEADER.encode(), {}, 404, "payment-provider-not-found"),
    "no such columns": ("providerId={}", HEADER.encode(), {}, 422, "statement-unreadable"),
    "no lines": ("providerId={}", statements.file_of([]), {}, 422, "statement-empty"),
    "no CSV": ("providerId={}", b"{}", {"Content-Type": "application/json"}, 415, "no-statement-file"),
    "no zone": ("providerId={}&zone=Moon", b"x", {}, 422, "bad-statement-mapping"),
    "one mark for two": ("providerId={}&decimalMark=,", b"x", {}, 422, "bad-statement-mapping"),
    "no receipt's column": ("providerId={}&receipt=", b"x", {}, 422, "bad-statement-mapping"),
    "too large": ("providerId={}", b"x" * (8 * 1024 * 1024 + 1), {}, 413, "body-too-large"),
    "no gzip": ("providerId={}", b"x", {"Content-Encoding": "gzip"}, 400, "bad-encoding"),
}


@pytest.mark.parametrize(("query", "body", "headers", "status", "code"), REFUSED.values(), ids=REFUSED.keys())
async def test_what_is_no_statement_is_refused(
    api: Api,
    shop: Shop,
    account: ProviderAccount,
    query: str,
    body: bytes,
    headers: dict[str, str],
    status: int,
    code: str,
):
    owner = api.as_(await shop.org.token())
    refused = await post(owner, f"{PATH}?{query.format(account.id)}", body, headers=headers)
    assert (refused.status, refused.json["code"]) == (status, code)
    assert (await owner("GET", PATH)).json["data"] == []


async def test_only_who_keeps_the_books_reads_statements_and_only_their_own(
    api: Api, shop: Shop, account: ProviderAccount, noon: datetime
):
    statement = await statements.add(shop, account, [line("R1", noon, paid_in="1.00")])
    for role in (Role.DISPATCHER, Role.VIEWER, Role.DRIVER):
        _, phone = await shop.org.person(role)
        other = api.as_(await shop.org.token(phone))
        assert (await other("GET", PATH)).status == 403
        assert (await post(other, f"{PATH}?providerId={account.id}", b"x")).status == 403
    stranger = api.as_(await (await organisation(shop.services, "Bulawayo Bulk")).token())
    for path in ("", "/lines"):
        answer = await stranger("GET", f"{PATH}/{statement.id}{path}")
        assert (answer.status, answer.json["code"]) == (404, "statement-not-found")
    assert (await post(stranger, f"{PATH}?providerId={account.id}", b"x")).status == 404


async def test_lines_by_what_became_of_them_and_a_mapping_of_ones_own(shop: Shop, account: ProviderAccount):
    body = b"receipt,time,paid_in,reference\nR1,2026-11-22 10:00:00,5.00,x\nR2,never,5.00,x\n"
    money = shop.services.money
    statement = await money.statements.add(shop.owner, account.id, name="x", body=body, columns=lambda _usual: SIMPLE)
    await statements.work(shop.services, shop.org.org_id, statement.id)
    page = await money.statements.lines(shop.owner, statement.id, Outcome.UNREADABLE, 10, None)
    assert [(each.n, each.receipt, each.detail) for each in page.data] == [(2, "R2", "never is no time")]
