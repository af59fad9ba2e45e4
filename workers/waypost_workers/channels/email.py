"""E-mail by SMTP: whose server, and what a server's answers mean."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from email.headerregistry import Address
from typing import Final

import aiosmtplib
from aiosmtplib import SMTPException, SMTPResponseException

from waypost.kernel.clock import Clock
from waypost.notifications.addresses import one_line
from waypost.notifications.domain import Message
from waypost.notifications.providers.accounts import HOUSE_SMTP, SmtpConfig
from waypost.notifications.states import Outcome, OutcomeKind
from waypost.platform.guarded import AddressRefused
from waypost.platform.telemetry import log
from waypost_workers.channels.joining import Joining
from waypost_workers.channels.letters import UNFIT, Unsigned, compose, mailbox, signed
from waypost_workers.channels.mail_pool import CLOSING, Envelope, MailPool, MailServer, Progress

__all__ = ["Email", "MailServer"]

TEMPORARY, PERMANENT = range(400, 500), range(500, 600)
OURS: Final = 0.9  # part of the time that a try may take: so that what becomes of it is ours to say
# RFC 3463, section 3.2 f.: no such mailbox, no such system, moved away, no mail at all, switched off.
NO_MAILBOX: Final = frozenset({"5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.2.1"})


@dataclass(frozen=True, slots=True)
class Way:
    """By whose account a message goes. ``join``: how an organisation's own server is reached; the house's: freely."""

    server: MailServer
    sender: str
    config: SmtpConfig | None = None
    join: Joining | None = None


@dataclass(frozen=True, slots=True)
class Email:
    """The channel. ``server``, ``sender``: the house's, of all organisations without an account; None: it has none.
    ``timeout_s``: of a whole try. ``joining``: reaches the servers that organisations name. ``house``: with what the
    house signs.
    """

    server: MailServer | None
    sender: str | None
    timeout_s: float
    clock: Clock
    pool: MailPool = field(default_factory=MailPool)
    joining: Joining | None = None
    house: SmtpConfig | None = None
    provider: str = "smtp"

    async def send(self, message: Message) -> Outcome:
        """Try once. Unknown only from when the message itself may have been taken, to its answer."""
        way = self._way(message)
        if way is None:
            return Outcome(OutcomeKind.NOT_SENT, "channel_off")
        try:
            origin = mailbox(message.sender, way.sender)
        except UNFIT:
            log.exception("sender_unfit")  # ours to put right: no fault of who was to be told
            return Outcome(OutcomeKind.NOT_SENT, "smtp_sender_unfit", provider_failed=True)
        data = await self._data(message, way, origin)
        return data if isinstance(data, Outcome) else await self._hand_over(message, way, origin, data)

    def close(self) -> None:
        """Let go of the connections that are kept."""
        self.pool.close()

    def _way(self, message: Message) -> Way | None:
        account = message.account
        if account is not None and account.id != HOUSE_SMTP and isinstance(account.config, SmtpConfig):
            config = account.config
            server = MailServer(
                config.host, config.port, config.tls, user=config.user, password=config.password, own=True
            )
            return Way(server, account.sender, config, self.joining)
        if self.server is None or self.sender is None:
            return None
        return Way(self.server, self.sender, self.house)

    async def _data(self, message: Message, way: Way, origin: Address) -> bytes | Outcome:
        try:
            data = compose(message, origin, self.clock.now())
        except UNFIT:
            log.exception("mail_not_composed", delivery_id=str(message.delivery_id))
            return Outcome(OutcomeKind.REFUSED, "smtp_not_composed")
        try:
            if way.config is None or way.config.dkim_key is None:
                return data
            return await asyncio.to_thread(signed, data, way.config)  # with RSA it takes some ms
        except Unsigned as error:
            log.warning("mail_not_signed", delivery_id=str(message.delivery_id), error=str(error))
            return Outcome(OutcomeKind.NOT_SENT, "smtp_not_signed", provider_failed=True)

    async def _hand_over(self, message: Message, way: Way, origin: Address, data: bytes) -> Outcome:
        join = way.join.join if way.join is not None else None
        envelope = Envelope(way.sender, message.address, data, origin.domain, self.timeout_s, join)
        progress = Progress()
        try:
            async with asyncio.timeout(self.timeout_s * OURS):
                response = await self.pool.send(way.server, envelope, progress, self.clock.monotonic())
        except SMTPResponseException as error:
            return _answered(error, way.sender, begun=progress.begun)
        except (SMTPException, OSError, ValueError) as error:  # the last: a host that cannot be a name
            return _broken(error, progress)
        return Outcome(
            OutcomeKind.ACCEPTED, reference=_readable(response.message), status=response.code, sender=way.sender
        )


def _readable(answer: str) -> str | None:
    """A server's words as they may be stored: what was no UTF-8 came as lone surrogates."""
    return one_line(answer.encode(errors="replace").decode(), 200) or None


def _answered(error: SMTPResponseException, sender: str, *, begun: bool) -> Outcome:
    """The server refused. For good only what it says of this recipient or this message: a refused login, sender or
    greeting is ours to put right, and then the message goes out.
    """
    reason, status = f"smtp_{_word(error)}", error.code
    of_this_mail = isinstance(error, aiosmtplib.SMTPRecipientRefused | aiosmtplib.SMTPDataError)
    if status in PERMANENT and of_this_mail:
        suppress = "hard_bounce" if _no_mailbox(error) else None
        return Outcome(OutcomeKind.REFUSED, reason, status=status, suppress=suppress, sender=sender)
    if status in TEMPORARY or not begun:
        failed = not of_this_mail or status == CLOSING or status not in TEMPORARY
        return Outcome(OutcomeKind.NOT_SENT, reason, status=status, provider_failed=failed)
    return Outcome(OutcomeKind.UNKNOWN, "smtp_unreadable", status=status, provider_failed=True)


def _no_mailbox(error: SMTPResponseException) -> bool:
    """Does it say that the address is no good, by RFC 3463's code? Words alone, or a bare 550, may be a filter's."""
    return bool(error.message) and error.message.split(maxsplit=1)[0] in NO_MAILBOX


def _broken(error: Exception, progress: Progress) -> Outcome:
    """No answer. Before the message was handed over it surely was not sent."""
    timed_out = isinstance(error, TimeoutError)
    if progress.begun:
        return Outcome(OutcomeKind.UNKNOWN, "smtp_timeout" if timed_out else "smtp_cut_off", provider_failed=True)
    if isinstance(error, AddressRefused):
        return Outcome(OutcomeKind.NOT_SENT, "smtp_host_refused", provider_failed=True)
    return Outcome(OutcomeKind.NOT_SENT, "smtp_timeout" if timed_out else f"smtp_{_word(error)}", provider_failed=True)


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
