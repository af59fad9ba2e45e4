"""A mail server with scripted faults. What it accepts it notes before it answers: that list is the proof."""

from __future__ import annotations

import asyncio
import email
import email.policy
import ssl
from collections import deque
from collections.abc import AsyncIterator, Callable
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
    NONSENSE = "take it, and answer what is no SMTP"


@dataclass(slots=True)
class Mail:
    """A message that was accepted."""

    to: list[str]
    message: EmailMessage
    raw: bytes

    @property
    def reference(self) -> str:
        return str(self.message["Message-ID"])


@dataclass(slots=True)
class MailServer:
    """The server as its tests see it. ``before_answer``: called once a message is noted and before it is answered."""

    port: int = 0
    accepted: list[Mail] = field(default_factory=list)
    faults: deque[Fault] = field(default_factory=deque)
    before_answer: Callable[[Mail], None] = lambda _mail: None
    chance: Callable[[], Fault | None] = lambda: None
    released: asyncio.Event = field(default_factory=asyncio.Event)

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
        if fault := self._next(of={Fault.NO_SUCH_BOX, Fault.BOX_BUSY}):
            return fault.value
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        fault = self._next(of=set(Fault)) or self.chance()
        if fault in (Fault.NOT_NOW, Fault.NEVER):
            return str(fault.value)
        if fault is not Fault.DROP:
            self._accept(envelope)
        if fault in (Fault.DROP, Fault.ACCEPT_THEN_DROP):
            server.transport.abort()
        if fault is Fault.ACCEPT_SLOWLY:
            await self.released.wait()
        return "hello?" if fault is Fault.NONSENSE else "250 taken"

    def _accept(self, envelope: Envelope) -> None:
        raw = envelope.content
        assert isinstance(raw, bytes)
        message = email.message_from_bytes(raw, policy=email.policy.default)
        assert isinstance(message, EmailMessage)
        mail = Mail(list(envelope.rcpt_tos), message, raw)
        self.accepted.append(mail)
        self.before_answer(mail)


@asynccontextmanager
async def mail_server(**options: Any) -> AsyncIterator[MailServer]:
    """A running one. ``options`` are the library's; ``listen_tls``: a context for TLS from the first byte."""
    sink = MailServer()
    loop = asyncio.get_running_loop()
    sessions: list[SMTP] = []

    def session() -> SMTP:
        sessions.append(SMTP(sink, loop=loop, hostname="mail.example", **options))
        return sessions[-1]

    listen_tls = options.pop("listen_tls", None)
    server = await loop.create_server(session, "127.0.0.1", 0, ssl=listen_tls)
    sink.port = server.sockets[0].getsockname()[1]
    try:
        yield sink
    finally:
        sink.released.set()
        server.close()
        for each in sessions:
            if each.transport is not None:
                each.transport.abort()
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
