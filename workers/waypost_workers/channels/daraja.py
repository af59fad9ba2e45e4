"""Daraja over HTTPS, one connection a call: what is made of its answers is `waypost.payments.providers`' to say.

A connection that is kept may have died at any time since the last call, and then nobody knows how far the next one got.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final, TypeVar
from uuid import UUID

import aiohttp

from waypost.kernel.clock import Clock
from waypost.payments.providers import daraja_requests as requests
from waypost.payments.providers.accounts import ProviderAccount
from waypost.payments.providers.daraja_requests import Token, TokenRefused
from waypost.payments.providers.prompting import (
    Busy,
    InDoubt,
    Push,
    PushAnswer,
    Refused,
    RegisterAnswer,
    StatusAnswer,
    StatusUnknown,
    TakeBack,
)
from waypost.platform.telemetry import log

MOST_BYTES: Final = 64 * 1024  # of an answer; the rest is not read
MARGIN_S: Final = 60.0  # before its end a token is taken for old
TOKEN_PART, CALL_PART = 0.25, 0.5  # of the time that a try may take; a token that is refused doubles both
AWAY: Final = (aiohttp.ClientError, TimeoutError, OSError)
NOT_SENT: Final = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)
A = TypeVar("A")


class NoToken(Exception):
    """The door stays shut; the text says why."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A token and when, by the monotonic clock, it is taken for old."""

    token: Token
    until: float


@dataclass(slots=True)
class Daraja:
    """Asks phones. ``timeout_s``: of a whole try."""

    session: aiohttp.ClientSession
    clock: Clock
    timeout_s: float
    tokens: dict[tuple[UUID, int], Kept] = field(default_factory=dict)

    async def push(self, account: ProviderAccount, push: Push) -> PushAnswer:
        """Ask the phone, once. What surely was not sent may be sent again."""
        body = requests.push_body(account.daraja, push, self.clock.now())
        return await self._ask_once(account, requests.PUSH, body, requests.read_push)

    async def reverse(self, account: ProviderAccount, what: TakeBack) -> PushAnswer:
        """Ask that a payment be taken back, once."""
        config = account.daraja
        if config.initiator is None:
            return Refused("not-set-up", "config.initiator is missing")
        body = requests.reverse_body(config, config.initiator, what)
        return await self._ask_once(account, requests.REVERSE, body, requests.read_reverse)

    async def register(self, account: ProviderAccount, root: str, token: str) -> RegisterAnswer:
        """Tell where payments that nobody prompted are reported."""
        body = requests.register_body(account.daraja, root, token)
        return await self._ask_once(account, requests.REGISTER, body, requests.read_register)

    async def _ask_once(
        self, account: ProviderAccount, path: str, body: Mapping[str, object], read: Callable[[int, bytes], A]
    ) -> A | Busy | InDoubt:
        """What surely was not done may be asked again; a token that ran out is fetched anew at once."""
        try:
            status, answer = await self._post(account, path, body)
            try:
                return read(status, answer)
            except TokenRefused:
                self._forget(account)
                status, answer = await self._post(account, path, body)
                return read(status, answer)
        except TokenRefused:
            return Busy("token-refused")
        except NoToken as error:
            return Busy(str(error))
        except NOT_SENT as error:
            return Busy(_word(error))
        except AWAY as error:
            return InDoubt(_word(error))

    async def status(self, account: ProviderAccount, request_id: str) -> StatusAnswer:
        """How a prompt stands. May be asked as often as one likes."""
        body = requests.query_body(account.daraja, request_id, self.clock.now())
        try:
            status, answer = await self._post(account, requests.QUERY, body)
            try:
                return requests.read_query(status, answer)
            except TokenRefused:
                self._forget(account)
                status, answer = await self._post(account, requests.QUERY, body)
                return requests.read_query(status, answer)
        except TokenRefused:
            return StatusUnknown("token-refused")
        except NoToken as error:
            return StatusUnknown(str(error))
        except AWAY as error:
            return StatusUnknown(_word(error))

    async def _post(self, account: ProviderAccount, path: str, body: Mapping[str, object]) -> tuple[int, bytes]:
        token = await self._token(account)
        headers = {"Authorization": f"Bearer {token.value}"}
        return await self._call("POST", account.daraja.base_url + path, headers, CALL_PART, body)

    async def _token(self, account: ProviderAccount) -> Token:
        """The one that is kept while it is good, else a new one. ``NoToken``: nothing was asked of anybody."""
        key = account.id, account.version
        kept = self.tokens.get(key)
        if kept is not None and self.clock.monotonic() < kept.until:
            return kept.token
        headers = {"Authorization": requests.basic(account.daraja)}
        try:
            status, body = await self._call("GET", account.daraja.base_url + requests.TOKEN, headers, TOKEN_PART)
        except AWAY as error:
            raise NoToken(f"token-{_word(error)}") from error
        token = requests.read_token(status, body)
        if token is None:
            log.warning("token_refused", provider_id=str(account.id), status=status)
            raise NoToken(f"token-http-{status}")
        self.tokens[key] = Kept(token, self.clock.monotonic() + token.lifetime_s - MARGIN_S)
        return token

    def _forget(self, account: ProviderAccount) -> None:
        self.tokens.pop((account.id, account.version), None)

    async def _call(
        self, method: str, url: str, headers: Mapping[str, str], part: float, body: Mapping[str, object] | None = None
    ) -> tuple[int, bytes]:
        async with (
            asyncio.timeout(self.timeout_s * part),
            self.session.request(method, url, headers=headers, json=body, allow_redirects=False) as response,
        ):
            read = bytearray()
            while not response.content.at_eof() and len(read) < MOST_BYTES:
                read += await response.content.readany()
            return response.status, bytes(read[:MOST_BYTES])


@asynccontextmanager
async def daraja(clock: Clock, timeout_s: float) -> AsyncIterator[Daraja]:
    """A client for as long as the block runs."""
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=timeout_s * TOKEN_PART)
    connector = aiohttp.TCPConnector(force_close=True)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        yield Daraja(session, clock, timeout_s)


def _word(error: BaseException) -> str:
    if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
        return "connect"
    return "timeout" if isinstance(error, TimeoutError) else "cut-off"
