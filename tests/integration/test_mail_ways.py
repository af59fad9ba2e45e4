"""The ways to a mail server: TLS insisted on, certificates checked; a refused login is not the customer's fault."""

from __future__ import annotations

import ssl
from pathlib import Path
from uuid import UUID

import pytest
from aiosmtpd.smtp import AuthResult

from tests.fakes.clock import FakeClock
from tests.fakes.mail import SENDER, mail_server, self_signed
from waypost.notifications.addresses import ChannelName
from waypost.notifications.domain import Message, Text
from waypost.notifications.states import Outcome, OutcomeKind
from waypost.settings import BadSettings, Settings
from waypost_workers.channels.email import Email, MailServer

MESSAGE = Message(
    org_id=UUID(int=1),
    delivery_id=UUID(int=2),
    notification_id=UUID(int=3),
    kind="trip_started",
    channel=ChannelName.EMAIL,
    address="chipo@example.com",
    recipient="Chipo",
    sender="Jacaranda",
    attempt=1,
    budget=8,
    text=Text("t", "Subject", "Body", "<p>Body</p>"),
)


async def send(server: MailServer) -> Outcome:
    return await Email(server, SENDER, 5, FakeClock()).send(MESSAGE)


def check_login(server: object, session: object, envelope: object, mechanism: str, data: object) -> AuthResult:
    good = getattr(data, "login", None) == b"us" and getattr(data, "password", None) == b"our password"
    return AuthResult(success=good, handled=False)


async def test_over_starttls_with_a_login(tmp_path: Path):
    context, certificate = self_signed(tmp_path)
    async with mail_server(
        tls_context=context, require_starttls=True, auth_required=True, authenticator=check_login
    ) as sink:
        server = MailServer("127.0.0.1", sink.port, "starttls", Path(certificate), "us", "our password")
        outcome = await send(server)
        assert (outcome.kind, outcome.status) == (OutcomeKind.ACCEPTED, 250)
        assert len(sink.accepted) == 1


async def test_a_refused_login_is_tried_again_later_and_is_no_refusal_of_the_customer(tmp_path: Path):
    context, certificate = self_signed(tmp_path)
    async with mail_server(
        tls_context=context, require_starttls=True, auth_required=True, authenticator=check_login
    ) as sink:
        server = MailServer("127.0.0.1", sink.port, "starttls", Path(certificate), "us", "an old password")
        outcome = await send(server)
        assert (outcome.kind, outcome.reason, outcome.status) == (OutcomeKind.NOT_SENT, "smtp_login", 535)
        assert sink.accepted == []


async def test_a_sender_that_is_no_address_is_our_fault_and_no_refusal_of_the_customer():
    async with mail_server() as sink:
        server = MailServer("127.0.0.1", sink.port, "none")
        outcome = await Email(server, "alerts..x@jacaranda.example", 5, FakeClock()).send(MESSAGE)
        assert (outcome.kind, outcome.reason, sink.accepted) == (OutcomeKind.NOT_SENT, "smtp_sender_unfit", [])


async def test_a_server_without_starttls_gets_nothing_in_the_clear():
    async with mail_server() as sink:
        outcome = await send(MailServer("127.0.0.1", sink.port, "starttls"))
        assert (outcome.kind, sink.accepted) == (OutcomeKind.NOT_SENT, [])


@pytest.mark.parametrize("way", ["starttls", "tls"])
async def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path: Path, way: str):
    context, _ = self_signed(tmp_path)
    async with mail_server(tls_context=context) as sink:
        outcome = await send(MailServer("127.0.0.1", sink.port, way))  # type: ignore[arg-type]  # one of the words
        assert (outcome.kind, sink.accepted) == (OutcomeKind.NOT_SENT, [])


async def test_over_tls_from_the_first_byte(tmp_path: Path):
    context, certificate = self_signed(tmp_path)
    assert isinstance(context, ssl.SSLContext)
    async with mail_server(listen_tls=context) as sink:
        outcome = await send(MailServer("127.0.0.1", sink.port, "tls", Path(certificate)))
        assert outcome.kind is OutcomeKind.ACCEPTED


@pytest.mark.parametrize(
    ("env", "complaint"),
    [
        ({"WAYPOST_SMTP_HOST": "mail.example.com"}, "WAYPOST_SMTP_FROM"),
        ({"WAYPOST_SMTP_HOST": "mail.example.com", "WAYPOST_SMTP_FROM": "nobody"}, "WAYPOST_SMTP_FROM"),
        ({"WAYPOST_SMTP_HOST": "mail.example.com", "WAYPOST_SMTP_FROM": "a..b@example.com"}, "WAYPOST_SMTP_FROM"),
        (
            {"WAYPOST_SMTP_HOST": "mail.example.com", "WAYPOST_SMTP_FROM": "a@b.c", "WAYPOST_SMTP_TLS": "none"},
            "only for a mail server on this very machine",
        ),
        ({"WAYPOST_DELIVERY_SEND_TIMEOUT_S": "40"}, "WAYPOST_DELIVERY_LEASE_S"),
        ({"WAYPOST_RELAY_POLL_S": "2"}, "WAYPOST_RELAY_POLL_S"),
    ],
)
def test_settings_that_cannot_send_safely_are_refused_by_name(env: dict[str, str], complaint: str):
    with pytest.raises(BadSettings, match=complaint):
        Settings.from_env(env)


def test_a_password_may_stand_in_a_file(tmp_path: Path):
    (tmp_path / "password").write_text("our password\n")
    settings = Settings.from_env({"WAYPOST_SMTP_PASSWORD_FILE": str(tmp_path / "password")})
    assert settings.smtp_password is not None
    assert settings.smtp_password.get_secret_value() == "our password"
    assert "our password" not in repr(settings)
