"""Bodies of the books."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta

from waypost.kernel.errors import invalid_field
from waypost.ledger import domain
from waypost.platform.codec import Instant, instant, utc
from waypost.platform.queries import PageQuery

Moment = Annotated[datetime, Meta(tz=True)]


class LinesQuery(PageQuery):
    """Which lines of an account a list shows: booked from ``since`` up to, not including, ``until``."""

    customer_id: UUID | None = None
    since: Moment | None = None
    until: Moment | None = None

    def to_domain(self) -> domain.Lines:
        """``Invalid`` for a moment beyond all books."""
        return domain.Lines(self.customer_id, _moment("since", self.since), _moment("until", self.until))


def _moment(name: str, at: datetime | None) -> datetime | None:
    try:
        return utc(at) if at is not None else None
    except ValueError as error:
        raise invalid_field(name, str(error)) from error


class Account(msgspec.Struct, rename="camel", omit_defaults=True):
    """An account. ``balanceMinor``: debit +, credit -; of assets and expenses it is positive as a rule, of the others
    negative.
    """

    id: UUID
    code: str
    kind: str
    currency: str
    balance_minor: int
    counterparty_org_id: UUID | None = None
    counterparty_name: str | None = None

    @classmethod
    def from_domain(cls, account: domain.BookedAccount) -> Account:
        return cls(**{name: getattr(account, name) for name in cls.__struct_fields__})


class AccountLine(msgspec.Struct, rename="camel", omit_defaults=True):
    """An account's line of an entry. ``amountMinor``: debit +, credit -; ``balanceMinor``: what the account came to
    with it; ``key``: names what was booked, once.
    """

    entry_id: UUID
    key: str
    kind: str
    source_kind: str
    source_id: UUID
    currency: str
    amount_minor: int
    balance_minor: int
    at: Instant
    customer_id: UUID | None = None
    note: str | None = None

    @classmethod
    def from_domain(cls, line: domain.BookLine) -> AccountLine:
        values = {name: getattr(line, name) for name in cls.__struct_fields__}
        return cls(**{**values, "at": instant(line.at)})
