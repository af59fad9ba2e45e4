"""Bodies of receipts and of messages that people wrote to us."""

from __future__ import annotations

import base64
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta

from waypost.notifications.receipts import domain, storage
from waypost.notifications.receipts.domain import Disposition
from waypost.notifications.receipts.service import ReceiptFilter
from waypost.platform.codec import NO_NUL, Instant, instant
from waypost.platform.queries import PageQuery


class ReceiptIgnored(msgspec.Struct):
    """Whatever a provider adds to an address is let be. ``d``: the delivery that it reports of."""

    d: str | None = None


class ReceiptTaken(msgspec.Struct, rename="camel", omit_defaults=True):
    """It is kept. ``disposition``: what became of it, where that is known already."""

    received: bool
    disposition: Disposition | None = None


class ReceiptsQuery(PageQuery):
    """Which receipts a list shows."""

    disposition: Disposition | None = None
    delivery_id: UUID | None = None
    provider_id: UUID | None = None

    def to_domain(self) -> ReceiptFilter:
        return ReceiptFilter(self.disposition, self.delivery_id, self.provider_id)


class Receipt(msgspec.Struct, rename="camel", omit_defaults=True):
    """What a provider said of a message, as it came (`body`: base64), and what became of it; without a disposition it
    is still worked on.
    """

    id: UUID
    provider_id: UUID
    road: str
    received_at: Instant
    body: str
    provider_ref: str | None = None
    status: str | None = None
    delivery_id: UUID | None = None
    disposition: str | None = None
    detail: str | None = None

    @classmethod
    def from_domain(cls, r: domain.Receipt) -> Receipt:
        return cls(
            r.id, r.provider_id, r.road, instant(r.received_at), base64.b64encode(r.body).decode(),
            r.provider_ref or None, r.status or None, r.delivery_id, r.disposition, r.detail,
        )  # fmt: skip


class MessagesQuery(PageQuery):
    """Which messages a list shows: of everybody, or from one number."""

    from_: Annotated[str, Meta(min_length=1, max_length=60, pattern=NO_NUL)] | None = msgspec.field(
        default=None, name="from"
    )


class InboundMessage(msgspec.Struct, rename="camel", omit_defaults=True):
    """What somebody wrote to us. ``meant``: the keyword that it is (`stop`, `start`, `help`); it was obeyed."""

    id: UUID
    provider_id: UUID
    from_: str = msgspec.field(name="from")
    to: str
    text: str
    received_at: Instant
    meant: str | None = None

    @classmethod
    def from_domain(cls, m: storage.Inbound) -> InboundMessage:
        return cls(m.id, m.provider_id, m.from_address, m.to_address, m.body, instant(m.received_at), m.meant)
