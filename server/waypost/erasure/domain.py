"""Pure rules of forgetting a person: what stands against it, and what of a text is theirs."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, fields
from uuid import UUID

from waypost.kernel.errors import Conflict

MARK = "(erased)"
NOBODY = "$."  # a pattern that nothing fits
SHORTEST_NATIONAL = 7


class CustomerUnsettled(Conflict):
    """Something is still to be settled with this customer."""

    code = "customer-unsettled"


class CustomerBeingTold(Conflict):
    """A message to this customer is going out at this very moment; try again in a minute."""

    code = "customer-being-told"
    retry = True


@dataclass(frozen=True, slots=True)
class Person:
    """A customer, and who else has their addresses. ``shared``: addresses that another customer has, too."""

    org_id: UUID
    org_name: str
    id: UUID
    name: str
    phone: str | None
    email: str | None
    shared: frozenset[str] = frozenset()

    @property
    def addresses(self) -> list[str]:
        return [address for address in (self.phone, self.email) if address]

    @property
    def own(self) -> list[str]:
        """Addresses that are nobody else's."""
        return [address for address in self.addresses if address not in self.shared]


@dataclass(frozen=True, slots=True)
class Unsettled:
    """How many of a customer's things are still under way."""

    laybys: int
    refunds: int
    credits: int
    prompts: int
    trips: int

    def complaints(self) -> Iterator[str]:
        """Each in words."""
        words = {
            "laybys": "open or uncollected laybys",
            "refunds": "refunds that are owed",
            "credits": "balances of credit",
            "prompts": "payments that were asked for",
            "trips": "trips that are planned or on their way",
        }
        for field in fields(self):
            if count := getattr(self, field.name):
                yield f"{words[field.name]}: {count}"


@dataclass(frozen=True, slots=True)
class Erased:
    """How many rows were changed, by what they are; nothing is left out that was not touched."""

    person: Person
    counts: Sequence[tuple[str, int]]
    left: int  # raw callbacks that somebody must settle first

    @property
    def total(self) -> int:
        return sum(count for _, count in self.counts)


def pattern_of(name: str | None, addresses: Collection[str]) -> str:
    """A regular expression, for PostgreSQL and for Python, of a name and of addresses in their usual spellings. It
    never begins within an escape of JSON.
    """
    parts = [_word(name)] if name and name != MARK else []
    parts += [_email(address) if "@" in address else _phone(address) for address in addresses]
    return rf"(?<!\\)(?:{'|'.join(parts)})" if parts else NOBODY


def _word(name: str) -> str:
    spaced = r"\s+".join(re.escape(part) for part in name.split())
    return rf"(?<!\w){spaced}(?!\w)"


def _email(address: str) -> str:
    local, _, domain = address.rpartition("@")
    return rf"(?<!\w){re.escape(local)}(?:@|%40){re.escape(domain)}(?!\w)"


def _phone(number: str) -> str:
    """With +, 00 or nothing before it; and as it is dialled within its country, where the country's code is of one to
    three digits.
    """
    digits = number.lstrip("+")
    national = [digits[size:] for size in (1, 2, 3) if len(digits) - size >= SHORTEST_NATIONAL]
    return rf"(?<!\d)(?:(?:\+|%2B|00)?{digits}|0(?:{'|'.join(national)}))(?!\d)" if national else rf"\+?{digits}"
