"""An e-mail as it is handed to a server: its headers, both forms of its words, and our signature."""

from __future__ import annotations

import email.policy
import re
from datetime import datetime
from email.errors import HeaderParseError
from email.headerregistry import Address
from email.message import EmailMessage
from typing import Final

from waypost.notifications.addresses import ChannelName, is_address, one_line
from waypost.notifications.domain import Message
from waypost.notifications.kinds import KINDS
from waypost.notifications.layout import with_stop
from waypost.notifications.providers.accounts import SmtpConfig

LONGEST_NAME: Final = 100
_SPECIAL = re.compile(r'[()<>@,:;.\\"\[\]]')  # RFC 5322, section 3.2.3: what a phrase may hold in quotes only
_LINK = re.compile(r"https?://[!-;=?-~]{1,900}")  # on a line of its own: at most 998 characters
UNFIT: Final = (ValueError, IndexError, HeaderParseError)  # what the library says of a header that cannot be
POLICY = email.policy.SMTP.clone(cte_type="7bit")  # not every server takes 8 bits
# RFC 6376, section 5.4.1, and RFC 8058, section 4. Those that stand there once are named twice, so that nobody adds
# another.
SIGNED: Final = tuple(
    name.encode()
    for name in (
        "from", "from", "subject", "subject", "to", "to", "date", "date", "message-id", "reply-to", "mime-version",
        "content-type", "list-unsubscribe", "list-unsubscribe-post", "feedback-id",
    )
)  # fmt: skip


class Unsigned(Exception):
    """We should sign and cannot."""


def compose(message: Message, origin: Address, now: datetime) -> bytes:
    """The message in both forms. Names are cut to one line first; the library's policy refuses a header that is not
    (one of ``UNFIT``).

    The Message-ID is the delivery's own, whatever the attempt: who gets it twice can tell, and drop it.
    """
    body, html = with_stop(message.text.body, message.text.html, message.stop_url)
    mail = EmailMessage(policy=POLICY)
    mail["Message-ID"] = f"<{message.delivery_id}@{origin.domain}>"
    mail["Date"] = now
    mail["From"] = origin
    mail["To"] = mailbox(message.recipient, message.address)
    if message.reply_to is not None and is_address(ChannelName.EMAIL, message.reply_to):
        mail["Reply-To"] = mailbox(message.sender, message.reply_to)
    mail["Subject"] = message.text.subject
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(body)
    if html:
        mail.add_alternative(html, subtype="html")
    return _whole_lines(message) + mail.as_bytes()


def _whole_lines(message: Message) -> bytes:
    """Headers that must not be folded: the library would break a long address. RFC 8058 asks for https."""
    kind = KINDS.get(message.kind)
    group = kind.group if kind is not None else "other"
    lines = [
        f"Feedback-ID: {message.kind}:{message.org_id.hex}:{group}:waypost",
        f"X-PM-Metadata-delivery-id: {message.delivery_id}",  # Postmark gives a mail a Message-ID of its own
    ]
    url = message.stop_url
    if url is not None:
        if _LINK.fullmatch(url) is None:
            raise ValueError("no link")
        lines.append(f"List-Unsubscribe: <{url}>")
        if url.startswith("https:"):
            lines.append("List-Unsubscribe-Post: List-Unsubscribe=One-Click")
    return "".join(f"{line}\r\n" for line in lines).encode("ascii")


def mailbox(name: str, address: str) -> Address:
    """A name of words alone: the library (3.11) loses the quotes of a long one when it folds the line, and then a comma
    or an angle bracket in it would be read as further addresses.
    """
    words = " ".join(_SPECIAL.sub(" ", one_line(name, LONGEST_NAME)).split())
    return Address(words, addr_spec=address)


def signed(data: bytes, config: SmtpConfig) -> bytes:
    """With our DKIM signature, where the account has a key; ``Unsigned`` when that cannot be done."""
    if config.dkim_key is None or config.dkim_domain is None or config.dkim_selector is None:
        return data
    try:
        import dkim

        header: bytes = dkim.sign(
            data,
            config.dkim_selector.encode(),
            config.dkim_domain.encode(),
            _key(config.dkim_key),
            canonicalize=(b"relaxed", b"relaxed"),
            signature_algorithm=b"rsa-sha256" if _is_pem(config.dkim_key) else b"ed25519-sha256",
            include_headers=list(SIGNED),
        )
    except Exception as error:  # the library raises what it comes across
        raise Unsigned(type(error).__name__) from error
    return header + data


def _is_pem(key: str) -> bool:
    return "-----BEGIN" in key


def _key(key: str) -> bytes:
    return key.strip().encode()
