"""Pure rules of double entry: which accounts there are, and what an entry is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from uuid import UUID, uuid5

from waypost.kernel.errors import NotFound

_NAMESPACE = UUID("6f1c1f6e-2f6b-5b0e-9a39-0f5c6f8f2b11")  # of account ids; any constant does, and it stays


class AccountNotFound(NotFound):
    """No such account, or none of yours."""

    code = "account-not-found"


class AccountKind(StrEnum):
    """What an account is; assets and expenses grow by debits (+), the others by credits (-)."""

    ASSET = "asset"
    LIABILITY = "liability"
    INCOME = "income"
    EXPENSE = "expense"


class Account(StrEnum):
    """The accounts of every organisation, one for each currency; those of a counterparty one for each of them, too."""

    CASH = "cash"  # taken at the counter
    CARD = "card"
    BANK = "bank"
    CLEARING = "clearing"  # a provider has it, and has not settled yet
    SUSPENSE = "suspense"  # money without a known reference
    DEPOSITS_HELD = "deposits-held"  # the customers' money in open laybys
    CUSTOMER_CREDIT = "customer-credit"  # kept for a customer; a debit balance of one is what they owe
    REFUNDS_PAYABLE = "refunds-payable"
    LATE_FEES_RECEIVABLE = "late-fees-receivable"
    LATE_FEES_DEFERRED = "late-fees-deferred"
    SALES = "sales"
    FEE_INCOME = "fee-income"
    RECEIVABLE = "receivable"  # from an organisation
    PAYABLE = "payable"  # to an organisation
    FREIGHT_INCOME = "freight-income"
    FREIGHT_EXPENSE = "freight-expense"
    TAX_PAYABLE = "tax-payable"
    TAX_RECOVERABLE = "tax-recoverable"
    PROVIDER_FEES = "provider-fees"


KINDS: Mapping[Account, AccountKind] = {
    Account.CASH: AccountKind.ASSET,
    Account.CARD: AccountKind.ASSET,
    Account.BANK: AccountKind.ASSET,
    Account.CLEARING: AccountKind.ASSET,
    Account.SUSPENSE: AccountKind.LIABILITY,
    Account.DEPOSITS_HELD: AccountKind.LIABILITY,
    Account.CUSTOMER_CREDIT: AccountKind.LIABILITY,
    Account.REFUNDS_PAYABLE: AccountKind.LIABILITY,
    Account.LATE_FEES_RECEIVABLE: AccountKind.ASSET,
    Account.LATE_FEES_DEFERRED: AccountKind.LIABILITY,
    Account.SALES: AccountKind.INCOME,
    Account.FEE_INCOME: AccountKind.INCOME,
    Account.RECEIVABLE: AccountKind.ASSET,
    Account.PAYABLE: AccountKind.LIABILITY,
    Account.FREIGHT_INCOME: AccountKind.INCOME,
    Account.FREIGHT_EXPENSE: AccountKind.EXPENSE,
    Account.TAX_PAYABLE: AccountKind.LIABILITY,
    Account.TAX_RECOVERABLE: AccountKind.ASSET,
    Account.PROVIDER_FEES: AccountKind.EXPENSE,
}
GENERAL = [account for account in Account if account not in {Account.RECEIVABLE, Account.PAYABLE}]  # of no counterparty


class Unbalanced(Exception):
    """A mistake of ours: an entry whose lines do not sum to zero."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of an entry: debit +, credit -."""

    account: Account
    amount_minor: int
    counterparty_org_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """What happened, in one currency. ``key`` names the effect: a second entry with it is none."""

    key: str
    kind: str
    source_kind: str
    source_id: UUID
    currency: str
    lines: Sequence[Line]
    at: datetime
    customer_id: UUID | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class BookedAccount:
    """An account that has been posted to, and what it comes to: debit +, credit -."""

    id: UUID
    code: str
    kind: AccountKind
    currency: str
    balance_minor: int
    counterparty_org_id: UUID | None = None
    counterparty_name: str | None = None


@dataclass(frozen=True, slots=True)
class BookLine:
    """An account's line of an entry. ``balance_minor``: what the account came to with it."""

    entry_id: UUID
    n: int
    key: str
    kind: str
    source_kind: str
    source_id: UUID
    currency: str
    amount_minor: int
    balance_minor: int
    at: datetime
    customer_id: UUID | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Lines:
    """Which lines of an account a list wants: of a customer, booked from ``since`` up to, not including, ``until``;
    None: any.
    """

    customer_id: UUID | None = None
    since: datetime | None = None
    until: datetime | None = None


class Wrong(StrEnum):
    """In what way books do not add up."""

    SNAPSHOT = "snapshot"  # a kept balance is not the sum of the postings before it
    ENTRY = "entry"  # an entry's lines do not sum to zero
    PAIR = "pair"  # what one organisation has to get is not what the other has to pay


@dataclass(frozen=True, slots=True)
class Difference:
    """A place where books do not add up. ``subject_id``: the account, or the entry; ``day``: of a snapshot."""

    wrong: Wrong
    subject_id: UUID
    currency: str
    expected_minor: int
    found_minor: int
    day: date | None = None


def account_id(org_id: UUID, account: Account, currency: str, counterparty: UUID | None = None) -> UUID:
    """The id of an account follows from what it is."""
    return uuid5(_NAMESPACE, f"{org_id}/{account}/{currency}/{counterparty or ''}")


def settled(lines: Iterable[Line]) -> list[Line]:
    """One line an account, none of nothing. ``Unbalanced`` unless they sum to zero."""
    sums: dict[tuple[Account, UUID | None], int] = {}
    for line in lines:
        place = line.account, line.counterparty_org_id
        sums[place] = sums.get(place, 0) + line.amount_minor
    if sum(sums.values()):
        raise Unbalanced(sums)
    return [Line(account, amount, counterparty) for (account, counterparty), amount in sums.items() if amount]


def moved(amount_minor: int, *, debit: Account, credit: Account) -> list[Line]:
    """The two lines of an amount from one account to another."""
    return [Line(debit, amount_minor), Line(credit, -amount_minor)]
