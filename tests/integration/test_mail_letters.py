"""An e-mail as it leaves: its headers, its signature, whose server takes it."""

from __future__ import annotations

import base64
import email
import email.policy
from dataclasses import replace
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from uuid import UUID

import dkim
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from tests.fakes.clock import FakeClock
from tests.fakes.mail import SENDER, Fault, mail_server, self_signed
from waypost.kernel.errors import Invalid
from waypost.notifications.addresses import ChannelName
from waypost.notifications.domain import Message, Text
from waypost.notifications.providers import checks
from waypost.notifications.providers.accounts import AppriseConfig, ProviderAccount, ProviderName, SmtpConfig
from waypost.notifications.providers.checks import checked
from waypost.notifications.render import renderer
from waypost.notifications.states import OutcomeKind
from waypost.notifications.words.samples import Sample, sample
from waypost.platform.guarded import Guard, Names
from waypost.settings import BadSettings, Settings
from waypost_workers import channels
from waypost_workers.channels import email as mail_channel
from waypost_workers.channels.joining import Joining
from waypost_workers.channels.letters import Unsigned, compose, mailbox, signed

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
STOP = "https://way.example/unsubscribe/" + "Zk3v9QmT_-" * 30
MESSAGE = Message(
    org_id=UUID(int=1),
    delivery_id=UUID(int=2),
    notification_id=UUID(int=3),
    kind="payment_reminder",
    channel=ChannelName.EMAIL,
    address="chipo@example.com",
    recipient="Chipo",
    sender="Jacaranda",
    attempt=1,
    budget=8,
    text=Text("t", "Subject", "Body", "<p>Body</p><!--stop:Stop these & more-->"),
)


def letter(message: Message, sender: str = SENDER) -> tuple[EmailMessage, bytes]:
    raw = compose(message, mailbox(message.sender, sender), NOON)
    read = email.message_from_bytes(raw, policy=email.policy.default)
    assert isinstance(read, EmailMessage)
    return read, raw


def forms(mail: EmailMessage) -> tuple[str, str]:
    text, html = mail.get_body(("plain",)), mail.get_body(("html",))
    assert text is not None
    assert html is not None
    return text.get_content(), html.get_content()


def test_what_may_be_switched_off_has_one_click_headers_on_one_line_and_a_link_in_both_forms():
    mail, raw = letter(replace(MESSAGE, stop_url=STOP))
    assert f"\r\nList-Unsubscribe: <{STOP}>\r\n".encode() in raw
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    text, html = forms(mail)
    assert text.splitlines()[-2:] == ["Stop these & more:", STOP]
    assert f'<a href="{STOP}"' in html
    assert "Stop these &amp; more</a>" in html


def test_a_receipt_has_none_of_it_and_no_place_for_it():
    mail, _ = letter(replace(MESSAGE, kind="payment_received"))
    assert {"List-Unsubscribe", "List-Unsubscribe-Post"} & set(mail.keys()) == set()
    assert [form.strip() for form in forms(mail)] == ["Body", "<p>Body</p>"]


def test_without_https_there_is_a_link_and_no_one_click():
    mail, _ = letter(replace(MESSAGE, stop_url="http://localhost:8080/unsubscribe/x"))
    assert (mail["List-Unsubscribe"], mail["List-Unsubscribe-Post"]) == ("<http://localhost:8080/unsubscribe/x>", None)


@pytest.mark.parametrize(
    "url", ["https://a.example/x>, <https://b.example", "https://a.example/\r\nBcc: x", "mailto:x"]
)
def test_what_is_no_link_becomes_no_header(url: str):
    with pytest.raises(ValueError, match="no link"):
        letter(replace(MESSAGE, stop_url=url))


def test_answers_go_to_the_shop_and_feedback_says_of_what_it_is():
    mail, _ = letter(replace(MESSAGE, reply_to="shop@jacaranda.example"))
    assert str(mail["Reply-To"]) == "Jacaranda <shop@jacaranda.example>"
    assert mail["Feedback-ID"] == f"payment_reminder:{UUID(int=1).hex}:reminder:waypost"
    assert mail["Message-ID"] == f"<{UUID(int=2)}@jacaranda.example>"
    assert mail["X-PM-Metadata-delivery-id"] == str(UUID(int=2))


@pytest.mark.parametrize("reply_to", ["x@y.example\r\nBcc: z@z.example", "nobody", "a@b, c@d"])
def test_a_reply_address_that_is_none_is_left_out(reply_to: str):
    mail, _ = letter(replace(MESSAGE, reply_to=reply_to))
    assert (mail["Reply-To"], mail["Bcc"]) == (None, None)


def test_a_long_domain_does_not_break_the_message_id():
    mail, raw = letter(MESSAGE, f"notices@{'a' * 60}.{'b' * 60}.example")
    assert str(mail["Message-ID"]).strip() == f"<{UUID(int=2)}@{'a' * 60}.{'b' * 60}.example>"
    assert b"=?" not in raw.partition(b"\r\n\r\n")[0]


def rsa_key(bits: int = 2048) -> tuple[str, bytes]:
    """A private key as it is set, and the record that would be in the DNS."""
    key = rsa.generate_private_key(65537, bits)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return private, b"v=DKIM1; k=rsa; p=" + base64.b64encode(public)


def ed25519_key() -> tuple[str, bytes]:
    key = Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    private = key.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
    return base64.b64encode(private).decode(), b"v=DKIM1; k=ed25519; p=" + base64.b64encode(public)


def own(**changes: Any) -> SmtpConfig:
    return SmtpConfig(**{"host": "mail.jacaranda.example"} | changes)


@pytest.mark.parametrize("make", [rsa_key, ed25519_key])
def test_a_signature_holds_for_every_header_that_matters_and_for_no_other_text(make: Any):
    private, record = make()
    config = own(dkim_domain="jacaranda.example", dkim_selector="way1", dkim_key=private)
    checked(config, SENDER)
    data = signed(letter(replace(MESSAGE, stop_url=STOP))[1], config)
    names: list[bytes] = []

    def look_up(name: bytes, **_more: object) -> bytes:
        names.append(name)
        return bytes(record)

    assert dkim.verify(data, dnsfunc=look_up)
    assert names == [b"way1._domainkey.jacaranda.example."]
    assert not dkim.verify(data.replace(b"One-Click", b"Two-Click"), dnsfunc=look_up)
    assert not dkim.verify(data.replace(b"Qm9keQ", b"Qm9keR").replace(b"Body", b"Bodx"), dnsfunc=look_up)
    assert not dkim.verify(b"From: thief@example.com\r\n" + data, dnsfunc=look_up)


def test_with_a_key_that_is_none_nothing_goes_out_unsigned():
    with pytest.raises(Unsigned):
        signed(b"From: a@b.example\r\n\r\nx\r\n", own(dkim_domain="b.example", dkim_selector="s", dkim_key="none"))


def account(host: str, port: int, **changes: Any) -> ProviderAccount:
    return ProviderAccount(
        UUID(int=1), UUID(int=9), ChannelName.EMAIL, ProviderName.SMTP, "Ours", own(host=host, port=port, **changes),
        "till@jacaranda.example", 100, None, None, None, (), NOON, 1,
    )  # fmt: skip


@pytest.fixture
def joining() -> Any:
    from concurrent.futures import ThreadPoolExecutor

    threads = ThreadPoolExecutor(1)
    yield lambda guard: Joining(guard, Names(threads))
    threads.shutdown()


async def test_an_organisation_s_own_server_takes_its_mail_under_its_own_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, joining: Any
):
    context, certificate = self_signed(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", certificate)
    async with mail_server() as house, mail_server(tls_context=context, require_starttls=True) as theirs:
        channel = mail_channel.Email(
            mail_channel.MailServer("127.0.0.1", house.port, "none"), SENDER, 5, FakeClock(),
            joining=joining(Guard.of("127.0.0.0/8")),
        )  # fmt: skip
        message = replace(MESSAGE, account=account("127.0.0.1", theirs.port))
        outcomes = [await channel.send(message) for _ in range(2)]
        assert {outcome.kind for outcome in outcomes} == {OutcomeKind.ACCEPTED}
        assert {outcome.sender for outcome in outcomes} == {"till@jacaranda.example"}
        assert str(theirs.accepted[0].message["From"]) == "Jacaranda <till@jacaranda.example>"
        assert (len(theirs.accepted), len(theirs.sessions), house.accepted) == (2, 1, [])
        theirs.faults.append(Fault.CUT_AT_MAIL)
        assert (await channel.send(message)).kind is OutcomeKind.ACCEPTED
        channel.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_an_organisation_cannot_make_us_speak_to_what_is_inside(host: str, joining: Any):
    async with mail_server() as inside:
        channel = mail_channel.Email(None, None, 5, FakeClock(), joining=joining(Guard()))
        outcome = await channel.send(replace(MESSAGE, account=account(host, inside.port)))
        assert (outcome.kind, outcome.reason) == (OutcomeKind.NOT_SENT, "smtp_host_refused")
        assert inside.sessions == []


async def test_a_host_that_cannot_be_one_means_surely_not_sent(joining: Any):
    channel = mail_channel.Email(None, None, 5, FakeClock(), joining=joining(Guard()))
    outcome = await channel.send(replace(MESSAGE, account=account(f"{'a' * 70}.example", 25)))
    assert (outcome.kind, outcome.reason) == (OutcomeKind.NOT_SENT, "smtp_failed")


async def test_the_house_signs_with_its_own_key_and_does_not_start_with_one_that_is_none():
    private, record = ed25519_key()
    env = {
        "WAYPOST_SMTP_HOST": "127.0.0.1",
        "WAYPOST_SMTP_FROM": SENDER,
        "WAYPOST_SMTP_DKIM_DOMAIN": "jacaranda.example",
        "WAYPOST_SMTP_DKIM_SELECTOR": "way1",
        "WAYPOST_SMTP_DKIM_KEY": private,
    }
    async with mail_server() as sink:
        server = mail_channel.MailServer("127.0.0.1", sink.port, "none")
        house = channels._signing(Settings.from_env(env))
        channel = mail_channel.Email(server, SENDER, 5, FakeClock(), house=house)
        assert (await channel.send(MESSAGE)).kind is OutcomeKind.ACCEPTED
        assert dkim.verify(sink.accepted[0].raw, dnsfunc=lambda _name, **_more: record)
        channel.close()
    with pytest.raises(BadSettings, match="dkimKey"):
        channels._signing(Settings.from_env(env | {"WAYPOST_SMTP_DKIM_KEY": "none"}))
    del env["WAYPOST_SMTP_DKIM_SELECTOR"]
    with pytest.raises(BadSettings, match="dkimSelector"):
        channels._signing(Settings.from_env(env))


async def test_without_a_house_server_and_an_account_nothing_is_tried():
    outcome = await mail_channel.Email(None, None, 5, FakeClock()).send(MESSAGE)
    assert (outcome.kind, outcome.reason) == (OutcomeKind.NOT_SENT, "channel_off")


@pytest.mark.parametrize(
    ("config", "sender", "field"),
    [
        (own(), "nobody", "sender"),
        (own(password="x"), SENDER, "config.user"),
        (own(dkim_domain="jacaranda.example"), SENDER, "config.dkimSelector"),
        (own(dkim_domain="other.example", dkim_selector="s", dkim_key="k"), SENDER, "config.dkimDomain"),
        (own(dkim_domain="jacaranda.example", dkim_selector="s;", dkim_key="k"), SENDER, "config.dkimSelector"),
        (own(dkim_domain="jacaranda.example", dkim_selector="s", dkim_key="k"), SENDER, "config.dkimKey"),
        (AppriseConfig("json://127.0.0.1:6379/"), "", "config.url"),
        (AppriseConfig("file:///etc/passwd"), "", "config.url"),
        (AppriseConfig("slack"), "", "config.url"),
    ],
    ids=["sender", "password", "half", "domain", "selector", "key", "inside", "file", "word"],
)
def test_what_cannot_work_is_refused_when_it_is_saved(config: Any, sender: str, field: str):
    with pytest.raises(Invalid) as refused:
        checked(config, sender)
    assert refused.value.extra["errors"] == [{"field": field, "detail": refused.value.detail.partition(": ")[2]}]


@pytest.mark.parametrize(
    ("config", "extra"),
    [
        (own(dkim_domain="jacaranda.example", dkim_selector="s", dkim_key="k"), "dkim"),
        (AppriseConfig("slack://TokenA/TokenB/TokenC"), "apprise"),
    ],
)
def test_where_a_package_is_not_installed_the_refusal_names_the_extra(
    config: Any, extra: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(checks, "find_spec", lambda _name: None)
    with pytest.raises(Invalid, match=rf"extra `{extra}`"):
        checked(config, SENDER)


def test_of_apprise_s_services_those_whose_hosts_are_their_own_may_be_used():
    config = AppriseConfig("discord://4174216298/JHMHI8qBe7bk2ZwO5U711o3dV_js")
    assert checked(config) is config


@pytest.mark.parametrize("language", ["en", "fr", "es", "pt"])
def test_every_e_mail_has_its_way_to_stop_in_its_own_language(language: str):
    text = renderer().render("payment_reminder", language, sample("payment_reminder", Sample.ORDINARY))
    mail, _ = letter(replace(MESSAGE, text=text, stop_url=STOP))
    plain, html = forms(mail)
    words = plain.splitlines()[-2].rstrip(":")
    assert words == {
        "en": "Stop messages like this one",
        "fr": "Ne plus recevoir ce genre de messages",
        "es": "Dejar de recibir mensajes como este",
        "pt": "Deixar de receber mensagens como esta",
    }[language]  # fmt: skip
    assert f"{words}</a>" in html
    assert "<!--" not in html


def test_the_layout_shows_the_business_its_colour_lists_and_links_and_trusts_no_fact():
    facts = {**sample("layby_created", Sample.ORDINARY), "brandColour": "#b3261e", "business": "<b>Shop</b> & Sons"}
    html = renderer().render("layby_created", "en", facts).html
    assert "border-top: 5px solid #b3261e" in html
    assert "&lt;b&gt;Shop&lt;/b&gt; &amp; Sons" in html
    assert html.count("white-space: nowrap") == 2 + 3 + 1  # goods, instalments, what cancelling costs
    assert 'href="https://way.example/t/Zk3v9QmT"' in (
        renderer().render("trip_started", "en", sample("trip_started", Sample.ORDINARY)).html
    )


@pytest.mark.parametrize("colour", ["", "red", "#12", 'x";x', "url(//x"])
def test_a_colour_that_is_none_is_ours(colour: str):
    facts = {**sample("layby_created", Sample.ORDINARY), "brandColour": colour}
    assert "border-top: 5px solid #1f4e79" in renderer().render("layby_created", "en", facts).html
