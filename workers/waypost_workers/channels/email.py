"""E-mail by SMTP, one connection a message.

A connection of its own for each message makes it plain how far a failed one got: a connection that is kept may have
died at any time since the last message. It costs a handshake a message, tens of milliseconds that overlap; a worker
holds as many connections as it runs jobs.
"""

from __future__ import annotations

import asyncio
import email.policy
import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from email.errors import HeaderParseError
from email.headerregistry import Address
from email.message import EmailMessage
from pathlib import Path
from typing import Literal

import aiosmtplib
from aiosmtplib import SMTPException, SMTPResponseException

from waypost.kernel.clock import Clock
from waypost.notifications.addresses import one_line
from waypost.notifications.domain import Message
from waypost.notifications.states import Outcome, OutcomeKind
from waypost.platform.telemetry import log

LONGEST_NAME = 100
_SPECIAL = re.compile(r'[()<>@,:;.\\"\[\]]')  # RFC 5322, section 3.2.3: what a phrase may hold in quotes only
TEMPORARY, PERMANENT = range(400, 500), range(500, 600)
OURS, BYE = 0.85, 0.05  # parts of the time that a try may take: until the answer, and to part
UNFIT = (ValueError, IndexError, HeaderParseError)  # what the library says of a header that cannot be
POLICY = email.policy.SMTP.clone(cte_type="7bit")  # not every server takes 8 bits


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where mail is handed in. ``port`` None: the usual one for ``tls``."""

    host: str
    port: int | None
    tls: Literal["starttls", "tls", "none"]
    ca_file: Path | None = None
    user: str | None = None
    password: str | None = None

    def client(self, timeout_s: float, local_hostname: str) -> aiosmtplib.SMTP:
        """Not connected yet. TLS is insisted on, never merely tried; certificates are checked."""
        return aiosmtplib.SMTP(
            hostname=self.host,
            port=self.port,
            use_tls=self.tls == "tls",
            start_tls=self.tls == "starttls",
            cert_bundle=str(self.ca_file) if self.ca_file else None,
            username=self.user,
            password=self.password,
            timeout=timeout_s,
            local_hostname=local_hostname,
        )


@dataclass(frozen=True, slots=True)
class Email:
    """The channel. ``timeout_s``: of a whole try; the answer comes a little before, so that it is ours to classify."""

    server: MailServer
    sender: str
    timeout_s: float
    clock: Clock
    provider: str = "smtp"

    async def send(self, message: Message) -> Outcome:
        """Try once. Unknown only from when the message itself may have been taken, to its answer."""
        try:
            origin = _mailbox(message.sender, self.sender)
        except UNFIT:
            log.exception("sender_unfit")  # ours to put right: no fault of who was to be told
            return Outcome(OutcomeKind.NOT_SENT, "smtp_sender_unfit")
        try:
            data = compose(message, origin, self.clock.now()).as_bytes()
        except UNFIT:
            log.exception("mail_not_composed", delivery_id=str(message.delivery_id))
            return Outcome(OutcomeKind.REFUSED, "smtp_not_composed")
        client = self.server.client(self.timeout_s, _domain(self.sender))
        handed_over = False
        try:
            async with asyncio.timeout(self.timeout_s * OURS):
                await client.connect()
                await client.mail(self.sender)
                await client.rcpt(message.address)
                handed_over = True
                response = await client.data(data)
        except SMTPResponseException as error:
            return _answered(error, handed_over=handed_over)
        except (SMTPException, OSError, TimeoutError) as error:
            return _broken(error, handed_over=handed_over)
        else:
            await self._part(client)
        finally:
            client.close()
        return Outcome(OutcomeKind.ACCEPTED, reference=_readable(response.message), status=response.code)

    async def _part(self, client: aiosmtplib.SMTP) -> None:
        """As the protocol has it, if that goes quickly: the message is taken already."""
        with suppress(SMTPException, OSError, TimeoutError):
            await client.quit(timeout=self.timeout_s * BYE)


def compose(message: Message, origin: Address, now: datetime) -> EmailMessage:
    """The message in both forms. Names are cut to one line first; the library's policy refuses a header that is not.

    The Message-ID is the delivery's own, whatever the attempt: who gets it twice can tell, and drop it.
    """
    mail = EmailMessage(policy=POLICY)
    mail["Message-ID"] = f"<{message.delivery_id}@{origin.domain}>"
    mail["Date"] = now
    mail["From"] = origin
    mail["To"] = _mailbox(message.recipient, message.address)
    mail["Subject"] = message.text.subject
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(message.text.body)
    mail.add_alternative(message.text.html, subtype="html")
    return mail


def _mailbox(name: str, address: str) -> Address:
    """A name of words alone: the library (3.11) loses the quotes of a long one when it folds the line, and then a comma
    or an angle bracket in it would be read as further addresses.
    """
    words = " ".join(_SPECIAL.sub(" ", one_line(name, LONGEST_NAME)).split())
    return Address(words, addr_spec=address)


def _readable(answer: str) -> str | None:
    """A server's words as they may be stored: what was no UTF-8 came as lone surrogates."""
    return one_line(answer.encode(errors="replace").decode(), 200) or None


def _domain(sender: str) -> str:
    return sender.rpartition("@")[2]


def _answered(error: SMTPResponseException, *, handed_over: bool) -> Outcome:
    """The server refused. For good only what it says of this recipient or this message: a refused login, sender or
    greeting is ours to put right, and then the message goes out.
    """
    reason, status = f"smtp_{_word(error)}", error.code
    of_this_mail = isinstance(error, aiosmtplib.SMTPRecipientRefused | aiosmtplib.SMTPDataError)
    if status in PERMANENT and of_this_mail:
        return Outcome(OutcomeKind.REFUSED, reason, status=status)
    if status in TEMPORARY or not handed_over:
        return Outcome(OutcomeKind.NOT_SENT, reason, status=status)
    return Outcome(OutcomeKind.UNKNOWN, "smtp_unreadable", status=status)


def _broken(error: Exception, *, handed_over: bool) -> Outcome:
    """No answer. Before the message was handed over it surely was not sent."""
    timed_out = isinstance(error, TimeoutError)
    if handed_over:
        return Outcome(OutcomeKind.UNKNOWN, "smtp_timeout" if timed_out else "smtp_cut_off")
    return Outcome(OutcomeKind.NOT_SENT, "smtp_timeout" if timed_out else f"smtp_{_word(error)}")


_WORDS: tuple[tuple[type[Exception], str], ...] = (
    (aiosmtplib.SMTPAuthenticationError, "login"),
    (aiosmtplib.SMTPSenderRefused, "sender"),
    (aiosmtplib.SMTPRecipientRefused, "recipient"),
    (aiosmtplib.SMTPDataError, "data"),
    (aiosmtplib.SMTPConnectResponseError, "greeting"),
    (aiosmtplib.SMTPConnectError, "connect"),
    (aiosmtplib.SMTPServerDisconnected, "cut_off"),
    (aiosmtplib.SMTPNotSupported, "not_supported"),
)


def _word(error: Exception) -> str:
    return next((word for kind, word in _WORDS if isinstance(error, kind)), "failed")
