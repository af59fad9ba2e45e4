"""Guessing is slow, whether there is anything to guess or not; a storm of sign-ins has an end."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator

import pytest

from tests.conftest import Answer, Api
from tests.factories import PASSWORD, Org
from tests.fakes.clock import FakeClock
from tests.integration.test_sockets import node
from tests.waiting import UNHURRIED_S
from waypost.directory.devices import Devices
from waypost.directory.guesses import AT_ONCE, LOOK_UPS_A_SECOND, TURNS, Guesses, TooManyUnknown
from waypost.identity.domain import TokenInvalid
from waypost.identity.passwords import MAX_WAITING, SignInBusy
from waypost.identity.throttle import Caller, Throttle
from waypost.kernel.remembered import REMEMBER_S, Remembered
from waypost.platform.limits import Limiter, RateLimited
from waypost.wiring import Services

NOBODY = "+263779999999"
WRONG = "a wrong password"


@pytest.fixture
async def strict(environment: dict[str, str], api: Api) -> AsyncIterator[Api]:
    """A node that allows three tries an account, and eight a network address."""
    limits = {"WAYPOST_SIGN_INS_PER_ACCOUNT": "3", "WAYPOST_SIGN_INS_PER_ADDRESS": "8"}
    async with node(environment | limits) as limited:
        yield limited


async def try_(api: Api, phone: str, password: str = WRONG) -> Answer:
    return await api("POST", "/api/v1/auth/login", {"phone": phone, "password": password})


def without_ids(answer: Answer) -> tuple[object, ...]:
    """All that a guesser could compare, but for the request's id, the moment and what counts down."""
    body = answer.json | {"requestId": ""}
    noise = {"x-request-id", "date", "retry-after", "ratelimit-reset"}
    headers = {(name.lower(), noise.isdisjoint([name.lower()]) and value) for name, value in answer.headers.items()}
    return answer.status, body, headers


async def test_the_tries_at_an_account_run_out_alike_whether_it_exists_or_not(strict: Api, org: Org):
    real = [await try_(strict, org.owner_phone) for _ in range(4)]
    unreal = [await try_(strict, NOBODY) for _ in range(4)]
    assert [answer.status for answer in real] == [401, 401, 401, 429]
    assert [without_ids(a) for a in real] == [without_ids(a) for a in unreal]
    assert real[3].json["code"] == "rate-limited"
    assert int(real[3].headers["Retry-After"]) >= 1


async def test_with_the_tries_used_up_the_right_password_is_not_told_from_a_wrong_one(strict: Api, org: Org):
    for _ in range(3):
        await try_(strict, org.owner_phone)
    right, wrong = await try_(strict, org.owner_phone, PASSWORD), await try_(strict, org.owner_phone)
    assert right.status == 429
    assert without_ids(right) == without_ids(wrong)


async def test_one_spelling_of_a_number_is_worth_as_much_as_another(strict: Api, org: Org):
    number = org.owner_phone
    spellings = [number, f"{number[:4]} {number[4:]}", f"{number[:4]}-{number[4:7]}-{number[7:]}", f" {number} "]
    assert [(await try_(strict, each)).status for each in spellings] == [401, 401, 401, 429]


async def test_an_address_that_tries_many_accounts_is_stopped_as_well(strict: Api, org: Org):
    statuses = [(await try_(strict, f"+26377999900{number}")).status for number in range(9)]
    assert statuses == [401] * 8 + [429]
    assert (await try_(strict, org.owner_phone, PASSWORD)).status == 429


async def test_tries_that_an_account_refuses_count_against_their_address_all_the_same(services: Services):
    throttle = Throttle(Limiter(services.redis, services.clock, answer_s=UNHURRIED_S), per_account=2, per_address=5)
    refused = []
    for account in [NOBODY] * 5 + ["another"]:
        try:
            await throttle.sign_in(Caller("192.0.2.1"), account)
        except RateLimited as error:
            refused.append(error.extra["limit"])
    assert refused == ["account"] * 3 + ["sign-in-address"]


async def test_refreshing_and_looking_at_invitations_are_limited_by_address(strict: Api):
    for path, body in (
        ("/api/v1/auth/refresh", {"refreshToken": "wpr_x"}),
        ("/api/v1/auth/invitations/look", {"token": "wpi_x"}),
        ("/api/v1/auth/invitations/accept", {"token": "wpi_x", "password": PASSWORD}),
    ):
        statuses = [(await strict("POST", path, body)).status for _ in range(9)]
        assert statuses[-1] == 429, path
        assert 429 not in statuses[:7] or path.endswith("accept")  # shares its count with the one before


async def test_limits_hold_on_this_node_while_valkey_is_away(strict: Api, org: Org, services: Services):
    await services.redis.execute_command("CLIENT", "PAUSE", "20000", "ALL")
    try:
        statuses = [(await try_(strict, org.owner_phone)).status for _ in range(5)]
    finally:
        await services.redis.connection_pool.disconnect()
    assert statuses[0] == 401
    assert statuses[-1] == 429


async def test_past_so_many_in_line_a_sign_in_is_told_to_come_again(services: Services, org: Org):
    """No hash is computed for who is sent away, so the storm costs what is in line and no more."""

    async def sign_in() -> str:
        try:
            await services.identity.passwords.verify(None, "a wrong password")
        except SignInBusy as error:
            return error.code
        return "verified"

    outcomes = await asyncio.gather(*(sign_in() for _ in range(MAX_WAITING + 12)))
    assert outcomes.count("sign-in-busy") > 0
    assert outcomes.count("verified") >= MAX_WAITING
    assert await sign_in() == "verified"


async def test_a_storm_of_sign_ins_is_answered_503_with_a_time_to_come_again(api: Api, services: Services):
    passwords = services.identity.passwords
    passwords.waiting = MAX_WAITING
    answer = await try_(api, NOBODY)
    assert (answer.status, answer.json["code"]) == (503, "sign-in-busy")
    assert answer.headers["Retry-After"]
    passwords.waiting = 0
    assert (await try_(api, NOBODY)).status == 401


# Device tokens that nobody has


def guess() -> str:
    return "wpd_" + secrets.token_urlsafe(24)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def devices(services: Services, clock: FakeClock) -> Devices:
    return Devices(services.database, clock, Remembered(clock), Guesses(clock))


async def test_a_withdrawn_phone_that_goes_on_is_looked_up_once_in_a_while(devices: Devices, clock: FakeClock):
    token = guess()
    for seconds in (0, 10, 10, 9, 2):
        await clock.advance(seconds)
        for _ in range(20):
            with pytest.raises(TokenInvalid):
                await devices.authenticate(token)
    assert devices.guesses.left == AT_ONCE - 1  # two look-ups, 31 s apart


async def test_guesses_that_come_all_at_once_cost_no_more_look_ups_than_are_left(devices: Devices, clock: FakeClock):
    devices.guesses.left, devices.guesses.counted_at = 4.0, clock.monotonic()
    guesses = (devices.authenticate(guess()) for _ in range(300))
    kinds = [type(outcome) for outcome in await asyncio.gather(*guesses, return_exceptions=True)]
    assert (kinds.count(TokenInvalid), kinds.count(TooManyUnknown)) == (4, 296)


async def test_phones_that_come_all_at_once_are_all_let_in(devices: Devices, org: Org):
    """More of them than there are shares: what is found gives its share back before the next one's turn."""
    phone = await org.phone(running=False)
    devices.guesses.left = TURNS
    answers = await asyncio.gather(*(devices.authenticate(phone.token) for _ in range(10 * TURNS)))
    assert {answer.device_id for answer in answers} == {phone.device_id}


async def test_what_is_no_device_token_by_its_form_is_not_looked_up(devices: Devices):
    for token in ("wpd_", "wpd_short", "wpd_" + "a" * 33, "wpd_" + "ä" * 32, "wpd_" + "a" * 31 + "\n"):
        with pytest.raises(TokenInvalid):
            await devices.authenticate(token)
    assert devices.guesses.left == AT_ONCE


async def test_a_flood_of_guesses_is_refused_without_a_look_and_shuts_no_known_phone_out(
    devices: Devices, clock: FakeClock, org: Org
):
    phone = await org.phone()
    assert (await devices.authenticate(phone.token)).device_id == phone.device_id
    outcomes = []
    for _ in range(AT_ONCE + 20):
        with pytest.raises((TokenInvalid, TooManyUnknown)) as caught:
            await devices.authenticate(guess())
        outcomes.append(caught.type)
    assert outcomes == [TokenInvalid] * AT_ONCE + [TooManyUnknown] * 20
    await clock.advance(0.5)
    for expected in [TokenInvalid] * (LOOK_UPS_A_SECOND // 2) + [TooManyUnknown]:
        with pytest.raises(expected):
            await devices.authenticate(guess())
    await clock.advance(REMEMBER_S)
    devices.guesses.left = 0
    devices.guesses.counted_at = clock.monotonic()
    with pytest.raises(TooManyUnknown):
        await devices.authenticate(guess())
    assert (await devices.authenticate(phone.token)).device_id == phone.device_id
