"""Making drivers, devices and trips as a dispatcher, for vehicles that have no device yet."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from uuid import uuid4

import aiohttp
import msgspec

from waypost.kernel.clock import Clock
from waypost.replay.devices import Credential, ReplayError
from waypost.replay.verdicts import backoff_s, retry_after_s

CONCURRENCY = 8
ATTEMPTS = 6
LONGEST_WAIT_S = 60.0
REFUSED = 300  # and above
UNAUTHENTICATED, CONFLICT = 401, 409
TEMPORARY = (429, 502, 503, 504)
Problem = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Login:
    """Who signs in: by phone or by e-mail."""

    password: str
    phone: str | None = None
    email: str | None = None

    def __repr__(self) -> str:
        return "Login(…)"  # never the password

    def body(self) -> dict[str, str]:
        who = {"phone": self.phone} if self.phone else {"email": self.email or ""}
        return {**who, "password": self.password}


@dataclass(slots=True)
class Dispatcher:
    """A signed-in person. Every POST carries an Idempotency-Key, so trying again makes nothing twice."""

    session: aiohttp.ClientSession
    url: str
    login: Login
    clock: Clock
    random: Random
    _token: str = ""

    async def sign_in(self) -> None:
        """Raises ReplayError if refused or not reachable."""
        status, answer = await self._post("/auth/login", self.login.body(), uuid4().hex)
        token = answer.get("accessToken")
        if status >= REFUSED or not isinstance(token, str):
            raise ReplayError(f"signing in at {self.url} failed: {_said(status, answer)}")
        self._token = token

    async def make(self, vehicle: str, reference: str) -> Credential:
        """A driver of the vehicle's name, a device for them and a running trip. Raises ReplayError."""
        driver = await self._create("/drivers", {"name": vehicle}, "id")
        device = await self._create("/devices", {"name": vehicle, "driverId": driver["id"]}, "token")
        trip = await self._create("/trips", {"driverId": driver["id"], "reference": reference}, "id")
        await self._create(f"/trips/{trip['id']}/start", {})
        return Credential(vehicle, device["token"], trip["id"])

    async def _create(self, path: str, body: Mapping[str, str], *wanted: str) -> dict[str, str]:
        """The wanted texts of the answer; signs in again once if the access token has run out meanwhile."""
        key = uuid4().hex
        token = self._token
        status, answer = await self._post(path, body, key)
        if status == UNAUTHENTICATED:
            if token == self._token:  # not renewed by another task in the meantime
                await self.sign_in()
            status, answer = await self._post(path, body, key)
        if status >= REFUSED:
            raise ReplayError(f"POST {path} for {body.get('name') or body.get('reference') or 'a trip'}: "
                              f"{_said(status, answer)}")  # fmt: skip
        found = {name: value for name in wanted if isinstance(value := answer.get(name), str)}
        if len(found) < len(wanted):
            raise ReplayError(f"POST {path}: the answer has no {' or '.join(wanted)}; is {self.url} a Waypost server?")
        return found

    async def _post(self, path: str, body: Mapping[str, str], key: str) -> tuple[int, Problem]:
        """(status, body as an object). Temporary refusals are tried again a few times."""
        headers = {"Content-Type": "application/json", "Idempotency-Key": key}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        content = msgspec.json.encode(body)
        status, after_s, answer = await self._once(path, headers, content)
        for attempt in range(1, ATTEMPTS):
            if status not in TEMPORARY:
                break
            await self.clock.sleep(min(after_s or backoff_s(attempt, self.random.random()), LONGEST_WAIT_S))
            status, after_s, answer = await self._once(path, headers, content)
        return status, _object(answer)

    async def _once(self, path: str, headers: Mapping[str, str], body: bytes) -> tuple[int, float | None, bytes]:
        address = f"{self.url.rstrip('/')}/api/v1{path}"
        try:
            async with self.session.post(address, data=body, headers=headers, allow_redirects=False) as response:
                after_s = retry_after_s(response.headers.get("Retry-After"), self.clock.now())
                return response.status, after_s, await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise ReplayError(f"the server at {self.url} cannot be reached: {_short(error)}") from error


async def make_devices(
    dispatcher: Dispatcher, names: Sequence[str], label: str, made: Callable[[int], None]
) -> list[Credential]:
    """A device and a running trip for each name, a few at a time; ``made`` is told how many there are.

    ``label`` makes the trips' references unlike those of other replays. Raises ReplayError at the first failure.
    """
    await dispatcher.sign_in()
    result: dict[str, Credential] = {}
    waiting = iter(names)

    async def work() -> None:
        for name in waiting:
            result[name] = await dispatcher.make(name, f"{name} {label}")
            made(len(result))

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(CONCURRENCY, len(names))):
                group.create_task(work())
    except* ReplayError as errors:
        first: BaseException = errors
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        raise first from None
    return [result[name] for name in names]


async def check_reachable(session: aiohttp.ClientSession, url: str) -> None:
    """Raises ReplayError unless something answers at the address, with whatever status."""
    try:
        async with session.get(url.rstrip("/") + "/livez", allow_redirects=False):
            return
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        raise ReplayError(f"the server at {url} cannot be reached: {_short(error)}") from error


def _said(status: int, answer: Problem) -> str:
    detail = answer.get("detail") or answer.get("title") or answer.get("code") or "no reason given"
    hint = "; it exists already or is in use: end it, or play other vehicles with --vehicles" * (status == CONFLICT)
    return f"{status}, {detail}{hint}"


def _object(content: bytes) -> Problem:
    try:
        return msgspec.json.decode(content, type=dict[str, object])
    except msgspec.MsgspecError:
        return {}


def _short(error: Exception) -> str:
    return "no answer in time" if isinstance(error, TimeoutError) else (str(error) or type(error).__name__)
