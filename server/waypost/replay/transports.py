"""The two ways to the server: HTTP and Socket.IO. Both answer in the same terms."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any, Protocol

import aiohttp
import msgspec
import socketio
from socketio import exceptions as socket_errors

from waypost.kernel.clock import Clock
from waypost.replay.forms import JSON, Form
from waypost.replay.verdicts import Answer, retry_after_s
from waypost.replay.wire import Envelope, Outcome

TIMEOUT_S = 10.0
OK = 200
UNAUTHENTICATED = 401
PING_PATH = "/api/v1/tracking/ping"
CODE_STATUS = {"malformed": 400, "unauthenticated": UNAUTHENTICATED, "denied": 403, "too-large": 413, "invalid": 422,
               "too-many": 429, "unavailable": 503}  # fmt: skip
STOPPING_WORDS = ("token", "auth", "device", "revoked")
decode_outcome = msgspec.json.Decoder(Outcome).decode


class Unreachable(Exception):
    """No answer: whether the batch was stored is unknown, so it must be sent again."""


class Problem(msgspec.Struct):
    """What we read of an error's body."""

    code: str = ""


class Transport(Protocol):
    """One device's way to the server."""

    async def send(self, envelope: Envelope) -> Answer:
        """Send a batch and wait for its answer, at most `TIMEOUT_S`. Raises Unreachable."""
        ...

    async def close(self) -> None: ...


def http_session(connections: int) -> aiohttp.ClientSession:
    """The session that all devices share: at most so many connections at once."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=connections),
        timeout=aiohttp.ClientTimeout(total=TIMEOUT_S),
        cookie_jar=aiohttp.DummyCookieJar(),
    )


class HttpTransport:
    """``POST /api/v1/tracking/ping`` with the device's token."""

    def __init__(self, session: aiohttp.ClientSession, url: str, token: str, clock: Clock, form: Form = JSON) -> None:
        self._session = session
        self._form = form
        self._url = url.rstrip("/") + PING_PATH
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": form.media_type}
        self._clock = clock

    async def send(self, envelope: Envelope) -> Answer:
        try:
            async with self._session.post(
                self._url, data=self._form.write(envelope), headers=self._headers, allow_redirects=False
            ) as response:
                body = await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unreachable(_kind(error)) from error
        if response.status == OK:
            return Answer(OK, _outcome(body))
        wait_s = retry_after_s(response.headers.get("Retry-After"), self._clock.now())
        return Answer(response.status, code=_code(body), retry_after_s=wait_s)

    async def close(self) -> None:
        """Nothing of its own: the session is shared."""


class SocketTransport:
    """The event ``tracking:ping`` over a connection that is made when needed, and made anew when it broke.

    What is not JSON goes as bytes.
    """

    def __init__(self, session: aiohttp.ClientSession, url: str, token: str, form: Form = JSON) -> None:
        self._url = url
        self._form = form
        self._auth = {"token": token}
        self._refusal: object = None
        self._ack: asyncio.Future[object] | None = None
        self._client: Any = socketio.AsyncClient(
            reconnection=False, http_session=session, handle_sigint=False, request_timeout=TIMEOUT_S
        )
        self._client.on("connect_error", self._refused)
        self._client.on("disconnect", self._lost)

    async def send(self, envelope: Envelope) -> Answer:
        if not self._client.connected:
            refused = await self._connect()
            if refused is not None:
                return refused
        try:
            ack = await self._call(msgspec.to_builtins(envelope) if self._form is JSON else self._form.write(envelope))
        except (socket_errors.SocketIOError, aiohttp.ClientError, TimeoutError, OSError) as error:
            await self.close()  # an ack that is overdue must not meet a later batch
            raise Unreachable(_kind(error)) from error
        return answer_of_ack(ack)

    async def close(self) -> None:
        with suppress(socket_errors.SocketIOError, aiohttp.ClientError, TimeoutError, OSError):
            await self._client.disconnect()

    async def _connect(self) -> Answer | None:
        """None when connected; an answer when the server refused this device. Raises Unreachable."""
        self._refusal = None
        try:
            await self._client.connect(self._url, auth=self._auth, transports=["websocket"], wait_timeout=TIMEOUT_S)
        except (socket_errors.ConnectionError, aiohttp.ClientError, TimeoutError, OSError) as error:
            code = refusal_code(self._refusal)
            if any(word in code for word in STOPPING_WORDS):
                return Answer(UNAUTHENTICATED, code=code)
            raise Unreachable(code or _kind(error)) from error
        return None

    async def _call(self, batch: object) -> object:
        """The ack. Unlike the client's own ``call`` it gives up when the connection is lost."""
        ack = self._ack = asyncio.get_running_loop().create_future()

        def answered(*values: object) -> None:
            if not ack.done():
                ack.set_result(values[0] if values else None)

        async with asyncio.timeout(TIMEOUT_S):
            await self._client.emit("tracking:ping", batch, callback=answered)
            return await ack

    async def _refused(self, data: object = None) -> None:
        self._refusal = data

    async def _lost(self, _reason: object = None) -> None:
        if self._ack is not None and not self._ack.done():
            self._ack.set_exception(ConnectionResetError())


def answer_of_ack(ack: object) -> Answer:
    """A Socket.IO ack in HTTP's terms: ``{"ok": true, …outcome}`` or ``{"ok": false, "error": {code, retry, …}}``.

    An unknown code is temporary if the server says it may be repeated; one that ends in not-found is a 404.
    """
    if not isinstance(ack, dict):
        return Answer(OK)
    if ack.get("ok"):
        with suppress(msgspec.ValidationError):
            return Answer(OK, msgspec.convert(ack, Outcome))
        return Answer(OK)
    error = ack.get("error")
    error = error if isinstance(error, dict) else {}
    code, retry = str(error.get("code", "")), error.get("retry")
    known = CODE_STATUS.get(code) or (404 if code.endswith("not-found") else None)
    status = known or (UNAUTHENTICATED if code.startswith("token-") else 503 if retry else 422)
    after = error.get("retryAfter", retry)
    wait_s = float(after) if isinstance(after, (int, float)) and not isinstance(after, bool) else None
    return Answer(status, code=code, retry_after_s=wait_s)


def refusal_code(data: object) -> str:
    """The code of a ``connect_error``: at its top or in its data; else its message."""
    if isinstance(data, dict):
        inner = data.get("data")
        found = data.get("code") or (inner.get("code") if isinstance(inner, dict) else None) or data.get("message")
        return str(found or "").lower()
    return data.lower() if isinstance(data, str) else ""


def _outcome(body: bytes) -> Outcome | None:
    try:
        return decode_outcome(body)
    except msgspec.MsgspecError:
        return None


def _code(body: bytes) -> str:
    try:
        return msgspec.json.decode(body, type=Problem).code
    except msgspec.MsgspecError:
        return ""


def _kind(error: Exception) -> str:
    return "timeout" if isinstance(error, (TimeoutError, socket_errors.TimeoutError)) else "no connection"
