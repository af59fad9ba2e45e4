"""Bodies of what staff do to a layby, and of what a cancellation comes to."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta

from waypost.kernel.errors import invalid_field
from waypost.laybys import deal, domain
from waypost.laybys.cancellation import Working
from waypost.laybys.wire import Count, Dates, Note
from waypost.platform.codec import NO_NUL, SOME_TEXT, utc

Why = Annotated[str, Meta(min_length=1, max_length=500, pattern=SOME_TEXT)]
Place = Annotated[str, Meta(max_length=300, pattern=NO_NUL)]
Days = Annotated[int, Meta(ge=1, le=366)]


class Cancel(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """Whose wish it is, and why. ``exemption``: for which the law there forgives the fee, such as `death`."""

    by: domain.CancelledBy
    reason: Why
    exemption: Annotated[str, Meta(min_length=1, max_length=50, pattern=SOME_TEXT)] | None = None


class CancelAsked(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """The same, to be worked out only."""

    by: domain.CancelledBy
    exemption: Annotated[str, Meta(min_length=1, max_length=50, pattern=SOME_TEXT)] | None = None


class Reason(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """Why, in words; kept with the event."""

    reason: Annotated[str, Meta(max_length=500, pattern=NO_NUL)] | None = None


class Extension(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """``days``: by how many every open date moves; or ``dates``: of each open instalment its own."""

    reason: Why
    days: Days | None = None
    dates: Dates = []


class Reinstatement(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """``days``: by how many the open dates move; left out: so that the oldest of them is today."""

    reason: Why
    days: Annotated[int, Meta(ge=0, le=366)] | None = None


class Collection(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """Who took the goods."""

    received_by: Annotated[str, Meta(max_length=200, pattern=NO_NUL)] | None = None
    note: Annotated[str, Meta(max_length=500, pattern=NO_NUL)] | None = None


class Handed(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """So many of an item, by its number on the layby."""

    n: Annotated[int, Meta(ge=1, le=1000)]
    quantity: Count


class HandOver(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """Goods that the customer takes before all is paid."""

    items: Annotated[list[Handed], Meta(min_length=1, max_length=1000)]
    received_by: Annotated[str, Meta(max_length=200, pattern=NO_NUL)] | None = None


class Delivery(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """How the goods go out."""

    driver_id: UUID | None = None
    truck_id: UUID | None = None
    origin: Place | None = None
    destination: Place | None = None
    planned_start_at: Annotated[datetime, Meta(tz=True)] | None = None

    def to_domain(self) -> deal.Delivery:
        """``Invalid`` for a moment beyond all plans."""
        at = self.planned_start_at
        try:
            return deal.Delivery(self.driver_id, self.truck_id, self.origin, self.destination, at and utc(at))
        except ValueError as error:
            raise invalid_field("plannedStartAt", str(error)) from error


class LaybyChange(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """What is to change; null empties a field, one that is left out stays."""

    note: Note | None | msgspec.UnsetType = msgspec.UNSET


class WorkingStep(msgspec.Struct, rename="camel"):
    """One step of the working: what it is, and its amounts."""

    code: str
    params: Mapping[str, str]


class Cancellation(msgspec.Struct, rename="camel", omit_defaults=True):
    """How a refund is worked out: paid = goods handed over + fee + refund. ``shortfallMinor``: what the fee is above
    what was paid; ``owedBeyond``: what the law owes the customer besides.
    """

    currency: str
    paid_minor: int
    fee_minor: int
    refund_minor: int
    asked_fee_minor: int
    lines: list[WorkingStep]
    ceiling_minor: int | None = None
    handed_over_minor: int = 0
    shortfall_minor: int = 0
    exemption: str | None = None
    owed_beyond: str | None = None

    @classmethod
    def of(cls, working: Working, currency: str) -> Cancellation:
        names = [name for name in cls.__struct_fields__ if name not in {"currency", "lines"}]
        return cls(
            currency=currency,
            lines=[WorkingStep(line.code, line.params) for line in working.lines],
            **{name: getattr(working, name) for name in names},
        )
