"""What a mail server sends back: delivery status notifications (RFC 3464) and complaints (RFC 5965). Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from email import message_from_bytes, message_from_string
from email.message import Message
from typing import Final
from uuid import UUID

from waypost.notifications.providers.reports import Reading, Report, Said

NOT_UNDERSTOOD: Final = "not_understood"
BOUNCED: Final = "bounced"
COMPLAINT: Final = "complaint"
# Of an address that is no good (RFC 3463, section 3.2; 5.2.1: switched off; 5.4.4: its host cannot be found). Another
# 5.x.x speaks of this message, a full mailbox or our server: the address may be good.
HARD: Final = frozenset({"5.1.0", "5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.2.1", "5.4.4"})
ARRIVED: Final = frozenset({"delivered", "expanded"})
_UUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_STATUS: Final = re.compile(r"[245]\.\d{1,3}\.\d{1,3}")


def read(body: bytes) -> Reading:
    """The reports of a whole message as a mail server sent it."""
    message = message_from_bytes(body)
    ours = _ours(message)
    reports = [*_statuses(message, ours), *_complaints(message, ours)]
    return Reading(reports=reports) if reports else Reading(trouble=NOT_UNDERSTOOD)


def our_id(message_id: str | None) -> UUID | None:
    """The delivery that a Message-ID of ours is of."""
    found = _UUID.search(message_id or "")
    return UUID(found[0]) if found else None


def is_hard(status: str | None) -> bool:
    """Does an enhanced status code (RFC 3463) speak of an address that is no good?"""
    return status in HARD


def _statuses(message: Message, ours: UUID | None) -> Iterator[Report]:
    for part in message.walk():
        if part.get_content_type() != "message/delivery-status":
            continue
        blocks = part.get_payload()
        for block in blocks if isinstance(blocks, list) else []:
            if isinstance(block, Message) and (report := _report(block, ours)) is not None:
                yield report


def _report(block: Message, ours: UUID | None) -> Report | None:
    """Of one recipient; None: the block is about the message as a whole."""
    address = _address(block.get("Final-Recipient")) or _address(block.get("Original-Recipient"))
    action = str(block.get("Action", "")).strip().lower()
    if not address or not action:
        return None
    code = _STATUS.search(str(block.get("Status", "")))
    if action == "failed":
        status = code[0] if code else None
        return Report(
            Said.UNDELIVERED, status=action, delivery_id=ours, reason=BOUNCED, code=status, address=address,
            hard=is_hard(status),
        )  # fmt: skip
    said = Said.DELIVERED if action in ARRIVED else Said.NOTHING
    return Report(said, status=action[:40], delivery_id=ours, address=address)


def _complaints(message: Message, ours: UUID | None) -> Iterator[Report]:
    for part in message.walk():
        if part.get_content_type() != "message/feedback-report":
            continue
        inner = part.get_payload()
        fields = inner[0] if isinstance(inner, list) and inner and isinstance(inner[0], Message) else None
        if fields is not None:
            kind = str(fields.get("Feedback-Type", "")).strip().lower()
            suppress = COMPLAINT if kind in {"abuse", "fraud", "virus", "other"} else None
            address = _address(fields.get("Original-Rcpt-To"))
            yield Report(
                Said.DELIVERED, status=kind[:40], delivery_id=ours, address=address, suppress=suppress, code=kind[:40]
            )


def _ours(message: Message) -> UUID | None:
    """Of the message that came back, whole or only its head."""
    for part in message.walk():
        kind, inner = part.get_content_type(), part.get_payload()
        if kind == "message/rfc822" and isinstance(inner, list) and inner and isinstance(inner[0], Message):
            return our_id(inner[0].get("Message-ID"))
        if kind == "text/rfc822-headers" and isinstance(inner, str):
            return our_id(message_from_string(inner).get("Message-ID"))
    return our_id(message.get("In-Reply-To")) or our_id(message.get("References"))


def _address(field: object) -> str | None:
    """Of "rfc822; a@example.com"."""
    text = str(field or "").rpartition(";")[2].strip().strip("<>")
    return text if "@" in text else None
