"""Connections to mail servers that are kept for the next message, and how far a message got on one.

A kept connection may have died at any time since the last message. What is sure all the same (RFC 5321, sections 3.3
and 4.1.1.4): a server takes a message only once it has the whole of it with the dot at its end, and that is not written
before the server has said 354 to our ``DATA``. So whatever breaks before the message is surely not sent, and goes out
by a new connection at once; from the first byte of the message to its answer nobody knows. Answers cannot be mixed up:
a connection is kept only after an answer that was read and understood, and the 354 stands between what may be left over
of an earlier message and this one's end.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from socket import socket
from typing import Final, Literal

import aiosmtplib
from aiosmtplib import SMTPDataError, SMTPException, SMTPResponse, SMTPResponseException, SMTPServerDisconnected

from waypost.notifications.ports import Checkpoint, pass_on

MOST_LINES: Final = 20  # at once to one server
IDLE_S: Final = 10.0  # SES cuts one off after that
MOST_MESSAGES: Final = 100  # by one connection: then it makes room, where a balancer may send us elsewhere
WAKE_PART: Final = 0.2  # of the time of a try: so long may a kept connection take to show that it lives
GO_ON, TAKEN, CLOSING = 354, 250, 421
REFUSALS: Final = range(400, 600)
_LINE_END, _DOT = re.compile(rb"\r\n|\r|\n"), re.compile(rb"(?m)^\.")


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where mail is handed in. ``port`` None: the usual one for ``tls``. ``own``: an organisation named it, so it never
    shares a connection with the house's.
    """

    host: str
    port: int | None
    tls: Literal["starttls", "tls", "none"]
    ca_file: Path | None = None
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    own: bool = False

    @property
    def usual_port(self) -> int:
        return self.port or {"tls": 465, "starttls": 587, "none": 25}[self.tls]

    def trust(self) -> ssl.SSLContext | None:
        """What its certificate is checked with; reads files."""
        return None if self.tls == "none" else ssl.create_default_context(cafile=self.ca_file)

    def client(
        self, timeout_s: float, local_hostname: str, trust: ssl.SSLContext | None, joined: socket | None = None
    ) -> aiosmtplib.SMTP:
        """Not connected yet. TLS is insisted on, never merely tried; certificates are checked. ``joined``: a socket
        that is connected to it already.
        """
        return aiosmtplib.SMTP(
            hostname=self.host,
            port=None if joined else self.port,
            sock=joined,
            use_tls=self.tls == "tls",
            start_tls=self.tls == "starttls",
            tls_context=trust,
            username=self.user,
            password=self.password,
            timeout=timeout_s,
            local_hostname=local_hostname,
        )


@dataclass(frozen=True, slots=True)
class Envelope:
    """A message as it is handed in. ``hello``: by which name we come; ``join``: how the server is reached, if not as
    everything is.
    """

    sender: str
    recipient: str
    data: bytes
    hello: str
    timeout_s: float
    join: Callable[[str, int], Awaitable[socket]] | None = None


@dataclass(slots=True)
class Progress:
    """How far a try got. ``connected``: to the server; ``begun``: the message itself may have reached it."""

    connected: bool = False
    begun: bool = False


@dataclass(slots=True)
class _Line:
    """A connection. ``dirty``: the last message was refused, so the server must forget its sender first."""

    client: aiosmtplib.SMTP
    messages: int = 0
    dirty: bool = False
    kept_at: float = 0.0

    @property
    def lives(self) -> bool:
        """As far as we have heard."""
        return self.client.is_connected

    def part(self) -> None:
        """With a word of parting; whether it still arrives is no matter."""
        if self.lives and self.client.protocol is not None:
            with suppress(SMTPException, OSError):
                self.client.protocol.write(b"QUIT\r\n")
        self.client.close()

    def cut(self) -> None:
        """At once: who does not answer need not be waited for."""
        abort = getattr(self.client.transport, "abort", None)  # uvloop's is no subclass of asyncio's
        if abort is not None:
            abort()
        self.client.close()


@dataclass(slots=True)
class _Server:
    room: asyncio.Semaphore
    idle: list[_Line] = field(default_factory=list)
    users: int = 0
    trust: ssl.SSLContext | None = None


@dataclass(slots=True)
class MailPool:
    """So many connections to a server, one message at a time on each. ``now``: monotonic, in seconds."""

    most: int = MOST_LINES
    idle_s: float = IDLE_S
    checkpoint: Checkpoint = pass_on
    servers: dict[MailServer, _Server] = field(default_factory=dict)

    async def send(self, server: MailServer, envelope: Envelope, progress: Progress, now: float) -> SMTPResponse:
        """Hand a message in: the answer that took it. aiosmtplib's errors, ``OSError`` and ``TimeoutError``: what they
        mean, ``progress`` tells.
        """
        self._prune(now)
        at = self.servers.setdefault(server, _Server(asyncio.Semaphore(self.most)))
        at.users += 1
        try:
            async with at.room:
                return await self._send(server, at, envelope, progress, now)
        finally:
            at.users -= 1

    def close(self) -> None:
        """Let go of all that are kept."""
        for at in self.servers.values():
            self._part(at)

    async def _send(
        self, server: MailServer, at: _Server, envelope: Envelope, progress: Progress, now: float
    ) -> SMTPResponse:
        if (kept := self._kept(at)) is not None:
            progress.connected = True
            try:
                return await self._hand_in(at, kept, envelope, progress, now, first_s=envelope.timeout_s * WAKE_PART)
            except (SMTPException, OSError) as error:
                if progress.begun or not _is_dead(error):
                    raise
            self._part(at)  # the server has let go of one: most likely of all
            progress.connected = False
        line = await self._connect(server, at, envelope)
        progress.connected = True
        return await self._hand_in(at, line, envelope, progress, now, first_s=envelope.timeout_s)

    async def _connect(self, server: MailServer, at: _Server, envelope: Envelope) -> _Line:
        """With its greetings, TLS and login done."""
        if at.trust is None and server.tls != "none":
            at.trust = await asyncio.to_thread(server.trust)
        joined = await envelope.join(server.host, server.usual_port) if envelope.join is not None else None
        client = server.client(envelope.timeout_s, envelope.hello, at.trust, joined)
        try:
            await client.connect()
        except BaseException:
            client.close()
            if joined is not None:
                joined.close()
            raise
        return _Line(client)

    async def _hand_in(
        self, at: _Server, line: _Line, envelope: Envelope, progress: Progress, now: float, *, first_s: float
    ) -> SMTPResponse:
        """A message by one connection. ``first_s``: how long its first answer may take."""
        understood = False
        try:
            if line.dirty:
                await line.client.rset(timeout=first_s)
                line.dirty = False
            await line.client.mail(envelope.sender, timeout=first_s)
            await line.client.rcpt(envelope.recipient)
            answer = await self._data(line.client, envelope.data, progress)
            understood = True
        except SMTPResponseException as error:
            understood = error.code in REFUSALS and error.code != CLOSING and not line.dirty
            line.dirty = True
            raise
        finally:
            if understood:
                self._keep(at, line, now)
            else:
                line.cut()
        return answer

    async def _data(self, client: aiosmtplib.SMTP, data: bytes, progress: Progress) -> SMTPResponse:
        """The message itself, once the server waits for it."""
        ready = await client.execute_command(b"DATA")
        if ready.code != GO_ON:
            raise SMTPDataError(ready.code, ready.message)
        if (protocol := client.protocol) is None:
            raise SMTPServerDisconnected("Connection lost")
        protocol.write(on_the_wire(data))  # refuses to write to what is closed, and then nothing was written
        progress.begun = True
        self.checkpoint("after_write")
        answer = await protocol.read_response(timeout=client.timeout)
        if answer.code != TAKEN:
            raise SMTPDataError(answer.code, answer.message)
        return answer

    def _kept(self, at: _Server) -> _Line | None:
        """The one that was used last, so that those too many grow old."""
        while at.idle:
            if (line := at.idle.pop()).lives:
                return line
            line.cut()
        return None

    def _keep(self, at: _Server, line: _Line, now: float) -> None:
        line.messages, line.kept_at = line.messages + 1, now
        if line.messages >= MOST_MESSAGES or not line.lives:
            line.part()
        else:
            at.idle.append(line)

    def _prune(self, now: float) -> None:
        for server, at in list(self.servers.items()):
            old = [line for line in at.idle if now - line.kept_at > self.idle_s]
            for line in old:
                at.idle.remove(line)
                line.part()
            if not at.idle and not at.users:
                del self.servers[server]

    def _part(self, at: _Server) -> None:
        while at.idle:
            at.idle.pop().part()


def on_the_wire(data: bytes) -> bytes:
    """As ``DATA`` has it (RFC 5321, section 4.5.2): every line ends with CRLF, a leading dot is doubled, and the last
    line is one.
    """
    lines = _LINE_END.sub(b"\r\n", data)
    return _DOT.sub(b"..", lines if lines.endswith(b"\r\n") else lines + b"\r\n") + b".\r\n"


def _is_dead(error: Exception) -> bool:
    """Does it say of a kept connection that nobody listens any more?"""
    if isinstance(error, SMTPResponseException):
        return error.code == CLOSING or error.code not in REFUSALS
    return isinstance(error, OSError)
