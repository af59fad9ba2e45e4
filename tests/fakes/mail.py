"""A mail server with scripted faults. What it accepts it notes before it answers: that list is the proof."""

from __future__ import annotations

import asyncio
import email
import email.policy
import ssl
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from enum import Enum
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope, Session

SENDER = "notices@jacaranda.example"


class Fault(Enum):
    """What it does with the next message instead of taking it."""

    NOT_NOW = "451 try again later"
    NEVER = "554 we do not want it"
    NO_SUCH_BOX = "550 5.1.1 no such mailbox"
    BOX_BUSY = "450 mailbox busy"
    ACCEPT_THEN_DROP = "take it, and cut the line before the answer"
    DROP = "cut the line before it is taken"
    ACCEPT_SLOWLY = "take it, and answer when nobody waits any more"
    SILENT = "neither take it nor answer"
    NONSENSE = "take it, and answer what is no SMTP"
    CUT_AT_MAIL = "cut the line when the next message begins"
    SILENT_AT_MAIL = "answer nothing when the next message begins"
    CLOSING_AT_MAIL = "421 4.4.2 idle for too long"
    CUT_AT_RCPT = "cut the line when the recipient is named"
    CUT_AT_DATA = "cut the line before the message is asked for"
    CLOSING_AT_DATA = "421 4.3.2 shutting down"
    CUT_IN_DATA = "ask for the message, and cut the line"
    NO_SUCH_USER = "550 no such user, says a server without codes"
    FILTERED = "550 5.7.1 we do not like it"


@dataclass(slots=True)
class Mail:
    """A message that was accepted."""

    to: list[str]
    message: EmailMessage
    raw: bytes

    @property
    def reference(self) -> str:
        return str(self.message["Message-ID"])


def _cut(session: SMTP) -> None:
    if isinstance(session.transport, asyncio.WriteTransport):
        session.transport.abort()


@dataclass(slots=True)
class MailServer:
    """The server as its tests see it. ``before_answer``: called once a message is noted and before it is answered."""

    port: int = 0
    accepted: list[Mail] = field(default_factory=list)
    faults: deque[Fault] = field(default_factory=deque)
    before_answer: Callable[[Mail], Awaitable[None] | None] = lambda _mail: None
    chance: Callable[[], Fault | None] = lambda: None
    released: asyncio.Event = field(default_factory=asyncio.Event)
    sessions: list[SMTP] = field(default_factory=list)

    def cut_all(self) -> None:
        """As a server that restarts, or finds that they idle for too long."""
        for session in self.sessions:
            _cut(session)

    @property
    def environment(self) -> dict[str, str]:
        """The settings of who sends by it."""
        return {
            "WAYPOST_SMTP_HOST": "127.0.0.1",
            "WAYPOST_SMTP_PORT": str(self.port),
            "WAYPOST_SMTP_TLS": "none",
            "WAYPOST_SMTP_FROM": SENDER,
        }

    @property
    def references(self) -> list[str]:
        return [mail.reference for mail in self.accepted]

    def _next(self, *, of: set[Fault]) -> Fault | None:
        return self.faults.popleft() if self.faults and self.faults[0] in of else None

    async def handle_RCPT(  # noqa: N802 - the library's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if fault := self._next(of={Fault.NO_SUCH_BOX, Fault.BOX_BUSY, Fault.NO_SUCH_USER, Fault.FILTERED}):
            return str(fault.value)
        if self._next(of={Fault.CUT_AT_RCPT}):
            _cut(server)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_MAIL(  # noqa: N802 - the library's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        fault = self._next(of={Fault.CUT_AT_MAIL, Fault.SILENT_AT_MAIL, Fault.CLOSING_AT_MAIL})
        if fault is Fault.CUT_AT_MAIL:
            _cut(server)
        if fault is Fault.SILENT_AT_MAIL:
            await self.released.wait()
        if fault is Fault.CLOSING_AT_MAIL:
            return str(fault.value)
        envelope.mail_from = address
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        fault = self._next(of=set(Fault)) or self.chance()
        if fault in (Fault.NOT_NOW, Fault.NEVER):
            return str(fault.value)
        if fault is Fault.SILENT:
            await self.released.wait()
            return "451 too late"
        if fault is not Fault.DROP:
            await self._accept(envelope)
        if fault in (Fault.DROP, Fault.ACCEPT_THEN_DROP):
            _cut(server)
        if fault is Fault.ACCEPT_SLOWLY:
            await self.released.wait()
        return "hello?" if fault is Fault.NONSENSE else "250 taken"

    async def _accept(self, envelope: Envelope) -> None:
        raw = envelope.content
        assert isinstance(raw, bytes)
        message = email.message_from_bytes(raw, policy=email.policy.default)
        assert isinstance(message, EmailMessage)
        mail = Mail(list(envelope.rcpt_tos), message, raw)
        self.accepted.append(mail)
        if (noted := self.before_answer(mail)) is not None:
            await noted


class _Session(SMTP):
    """One that may end where the message itself would begin."""

    async def smtp_DATA(self, arg: str) -> None:  # noqa: N802 - the library's name
        fault = self.event_handler._next(of={Fault.CUT_AT_DATA, Fault.CLOSING_AT_DATA, Fault.CUT_IN_DATA})
        match fault:
            case None:
                await super().smtp_DATA(arg)
            case Fault.CLOSING_AT_DATA:
                await self.push(fault.value)
                _cut(self)
            case _:
                if fault is Fault.CUT_IN_DATA:
                    await self.push("354 go on")
                    await self._reader.readline()
                _cut(self)


@asynccontextmanager
async def mail_server(**options: Any) -> AsyncIterator[MailServer]:
    """A running one. ``options`` are the library's; ``listen_tls``: a context for TLS from the first byte."""
    sink = MailServer()
    loop = asyncio.get_running_loop()

    def session() -> SMTP:
        sink.sessions.append(_Session(sink, loop=loop, hostname="mail.example", **options))
        return sink.sessions[-1]

    listen_tls = options.pop("listen_tls", None)
    server = await loop.create_server(session, "127.0.0.1", 0, ssl=listen_tls)
    sink.port = server.sockets[0].getsockname()[1]
    try:
        yield sink
    finally:
        sink.released.set()
        server.close()
        sink.cut_all()
        await server.wait_closed()


def self_signed(folder: Any) -> tuple[ssl.SSLContext, str]:
    """A server's context for 127.0.0.1, and the file with the certificate that trusts it."""
    import datetime as dt
    import ipaddress

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem, secret = folder / "mail.pem", folder / "mail.key"
    pem.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, secret)
    return context, str(pem)
