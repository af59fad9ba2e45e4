"""The web hooks of mail providers, by one table: how each is known, and what stands where. Pure.

To add a provider, add a ``Form``. A path is names divided by dots, a number is a place in a list; it begins at the
item, or with "/" at the whole. Sources: the providers' own descriptions of their web hooks (Postmark "Bounce webhook",
SendGrid "Event Webhook", Amazon SES "Notification contents", Mailgun "Webhooks").
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from waypost.notifications.providers.reports import Said


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a word of a provider's says of a message and its address; as in ``Report``."""

    said: Said
    hard: bool | None = None
    suppress: str | None = None


ARRIVED: Final = Meaning(Said.DELIVERED)
HARD: Final = Meaning(Said.UNDELIVERED, hard=True)
SOFT: Final = Meaning(Said.UNDELIVERED, hard=False)
BLOCKED: Final = Meaning(Said.UNDELIVERED)  # what was said, not to whom
COMPLAINT: Final = Meaning(Said.DELIVERED, suppress="complaint")
STOPPED: Final = Meaning(Said.NOTHING, suppress="unsubscribed")
UNDER_WAY: Final = Meaning(Said.NOTHING)


@dataclass(frozen=True, slots=True)
class Form:
    """``marks``: paths that must all be there; ``items``: where the lists of reports may be, "": the whole is the one.
    ``kind``: paths whose words are joined by dots and looked up in ``kinds``, the longest beginning that is known wins.
    """

    name: str
    marks: Sequence[str]
    items: Sequence[str]
    kind: Sequence[str]
    kinds: Mapping[str, Meaning]
    address: Sequence[str]
    ours: Sequence[str]
    reference: Sequence[str]
    code: Sequence[str]


FORMS: Final = (
    Form(
        "postmark",
        marks=("RecordType",),
        items=("",),
        kind=("RecordType", "Type", "SuppressSending", "SuppressionReason"),
        kinds={
            "Bounce": SOFT,
            "Bounce.HardBounce": HARD,
            "Bounce.BadEmailAddress": HARD,
            "Bounce.AddressChange": SOFT,
            "Bounce.Transient": UNDER_WAY,
            "Bounce.SpamNotification": BLOCKED,
            "Bounce.Blocked": BLOCKED,
            "Bounce.DMARCPolicy": BLOCKED,
            "Bounce.AutoResponder": ARRIVED,
            "Bounce.SpamComplaint": COMPLAINT,
            "Bounce.Unsubscribe": STOPPED,
            "Bounce.Subscribe": UNDER_WAY,
            "Delivery": ARRIVED,
            "SpamComplaint": COMPLAINT,
            "SubscriptionChange.true.ManualSuppression": STOPPED,
        },
        address=("Email", "Recipient"),
        ours=("Metadata.delivery-id", "Metadata.delivery_id"),
        reference=("MessageID",),
        code=("Type", "TypeCode"),
    ),
    Form(
        "sendgrid",
        marks=("0.event",),
        items=("",),
        kind=("event", "type"),
        kinds={
            "bounce": HARD,
            "bounce.blocked": SOFT,
            "dropped": BLOCKED,
            "deferred": UNDER_WAY,
            "delivered": ARRIVED,
            "spamreport": COMPLAINT,
            "unsubscribe": STOPPED,
            "group_unsubscribe": STOPPED,
        },
        address=("email",),
        ours=("delivery_id", "smtp-id"),
        reference=("sg_message_id",),
        code=("status", "reason"),
    ),
    Form(
        "ses",
        marks=("mail.messageId",),
        items=("bounce.bouncedRecipients", "complaint.complainedRecipients", "delivery.recipients"),
        kind=("/notificationType", "/eventType", "/bounce.bounceType", "/bounce.bounceSubType"),
        kinds={
            "Bounce": SOFT,
            "Bounce.Permanent": HARD,
            "Bounce.Permanent.Suppressed": HARD,
            "Complaint": COMPLAINT,
            "Delivery": ARRIVED,
        },
        address=("emailAddress", ""),
        ours=("/mail.commonHeaders.messageId",),
        reference=("/mail.messageId",),
        code=("status", "/bounce.bounceSubType", "/complaint.complaintFeedbackType"),
    ),
    Form(
        "mailgun",
        marks=("event-data.event",),
        items=("event-data",),
        kind=("event", "severity", "reason"),
        kinds={
            "failed": SOFT,
            "failed.permanent": SOFT,
            "failed.permanent.bounce": HARD,
            "failed.permanent.suppress-bounce": HARD,
            "failed.temporary": UNDER_WAY,
            "delivered": ARRIVED,
            "complained": COMPLAINT,
            "unsubscribed": STOPPED,
        },
        address=("recipient",),
        ours=("user-variables.delivery_id", "message.headers.message-id"),
        reference=("id",),
        code=("delivery-status.enhanced-code", "delivery-status.code"),
    ),
    # Whoever writes their own: {"type": "hard", "email": "…", "messageId": "<…>"}, one or a list.
    Form(
        "generic",
        marks=("type",),
        items=("",),
        kind=("type",),
        kinds={
            "hard": HARD,
            "soft": SOFT,
            "blocked": BLOCKED,
            "complaint": COMPLAINT,
            "delivered": ARRIVED,
            "unsubscribed": STOPPED,
        },
        address=("email", "address"),
        ours=("deliveryId", "messageId"),
        reference=("id",),
        code=("code",),
    ),
)


def form_of(whole: object) -> Form | None:
    """Whose it is; None: nobody's that the table knows."""
    first = whole[0] if isinstance(whole, list) and whole else whole
    for form in FORMS:
        if all(at(whole, mark) is not None for mark in form.marks):
            return form
        if form.name == "generic" and all(at(first, mark) is not None for mark in form.marks):
            return form
    return None


def items_of(whole: object, form: Form) -> list[Any]:
    """The reports in it."""
    found = [at(whole, path) for path in form.items]
    return [item for each in found if each is not None for item in (each if isinstance(each, list) else [each])]


def meaning_of(whole: object, item: object, form: Form) -> tuple[str, Meaning]:
    """Its word, and what that means; what the table does not know says nothing."""
    words = [word for path in form.kind if (word := text_at(whole, item, (path,)))]
    for length in range(len(words), 0, -1):
        if (known := form.kinds.get(".".join(words[:length]))) is not None:
            return ".".join(words), known
    return ".".join(words), UNDER_WAY


def text_at(whole: object, item: object, paths: Sequence[str]) -> str | None:
    """The first of the paths that leads to a text, a number or a yes or no."""
    for path in paths:
        value = at(whole, path[1:]) if path.startswith("/") else at(item, path)
        if isinstance(value, bool):
            return str(value).lower()
        if isinstance(value, str | int) and str(value):
            return str(value)
    return None


def at(value: object, path: str) -> object:
    """What stands at a path; None: nothing."""
    for name in filter(None, path.split(".")):
        if isinstance(value, dict):
            value = value.get(name)
        elif isinstance(value, list) and name.isdigit() and int(name) < len(value):
            value = value[int(name)]
        else:
            return None
    return value
