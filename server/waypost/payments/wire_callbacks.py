"""Bodies of callbacks: what providers are answered, and what staff see and settle."""

from __future__ import annotations

import base64
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from waypost.payments import callback_domain
from waypost.payments.callback_domain import Filter
from waypost.payments.domain import Disposition
from waypost.payments.reviews import Settlement
from waypost.payments.wire import Amount, Reason, Receipt
from waypost.platform.codec import Instant, instant
from waypost.platform.queries import PageQuery


class Ignored(msgspec.Struct):
    """Whatever a provider adds to an address is let be."""


class Taken(msgspec.Struct):
    """What Daraja wants to hear: it is kept."""

    code: int = msgspec.field(default=0, name="ResultCode")
    text: str = msgspec.field(default="Success", name="ResultDesc")


class Judged(msgspec.Struct):
    """The answer to a validation: "0", or the code of a refusal."""

    code: str = msgspec.field(default="0", name="ResultCode")
    text: str = msgspec.field(default="Accepted", name="ResultDesc")


class CallbacksQuery(PageQuery):
    """Which callbacks a list shows. ``toSettle``: those that leave a question open."""

    disposition: Disposition | None = None
    to_settle: bool = False

    def to_domain(self) -> Filter:
        return Filter(self.disposition, self.to_settle)


class Callback(msgspec.Struct, rename="camel", omit_defaults=True):
    """What a provider sent, and what became of it; without a disposition it is still worked on."""

    id: UUID
    provider_id: UUID
    road: str
    received_at: Instant
    settled: bool
    disposition: str | None = None
    detail: str | None = None
    receipt: str | None = None
    account_ref: str | None = None
    amount_minor: int | None = None
    prompt_id: UUID | None = None
    payment_id: UUID | None = None
    done_at: Instant | None = None
    settled_at: Instant | None = None

    @classmethod
    def from_domain(cls, row: callback_domain.Callback) -> Callback:
        return cls(**_values(cls, row))


class WholeCallback(Callback):
    """The same with its raw body: as text, or in base64 where it is none."""

    text: str | None = None
    base64: str | None = None
    address: str | None = None

    @classmethod
    def from_domain(cls, row: callback_domain.Callback) -> WholeCallback:
        values = _values(cls, row)
        try:
            return cls(**values, text=row.body.decode())
        except UnicodeDecodeError:
            return cls(**values, base64=base64.b64encode(row.body).decode())


def _values(cls: type[Callback], row: callback_domain.Callback) -> dict[str, Any]:
    names = [name for name in cls.__struct_fields__ if name not in {"settled", "text", "base64"}]
    values = {name: getattr(row, name) for name in names}
    values |= {name: instant(value) for name, value in values.items() if isinstance(value, datetime)}
    return {**values, "settled": not row.is_open_question}


class Settle(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """How a question ends. ``dismiss``: no money moved; else it is booked, to the layby that is named or that the
    callback means; what the callback does not say is given. ``another``: it is other money than what was booked of
    that amount at about that time.
    """

    reason: Reason
    dismiss: bool = False
    layby_id: UUID | None = None
    amount_minor: Amount | None = None
    receipt: Receipt | None = None
    another: bool = False

    def to_domain(self) -> Settlement:
        return Settlement(self.reason, self.dismiss, self.layby_id, self.amount_minor, self.receipt, self.another)
