"""Money: integer minor units with an ISO 4217 code. Never a float, and never two currencies in one sum."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation

from waypost.kernel.errors import Invalid

LARGEST_MINOR = 10**15  # of one amount; sums stay far inside 64 bits
BASIS_POINTS = 10_000

# ISO 4217 (list one): the active codes of money that people pay with, by their decimal places.
_PLACES: Mapping[int, str] = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    2: "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF "
    "CHF CNY COP CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL "
    "HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP "
    "MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD "
    "SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS "
    "VED VES WST XCD XCG YER ZAR ZMW ZWG",
    3: "BHD IQD JOD KWD LYD OMR TND",
}
PLACES: Mapping[str, int] = {code: places for places, codes in _PLACES.items() for code in codes.split()}


class CurrencyMismatch(Invalid):
    """The two amounts are of different currencies; they cannot be added."""

    code = "currency-mismatch"


class BadAmount(ValueError):
    """Not an amount of that currency: the text says why."""


@dataclass(frozen=True, slots=True, order=True)
class Money:
    """An amount, negative ones too."""

    minor: int
    currency: str

    def __add__(self, other: Money) -> Money:
        return Money(self.minor + self._same(other), self.currency)

    def __sub__(self, other: Money) -> Money:
        return Money(self.minor - self._same(other), self.currency)

    def __neg__(self) -> Money:
        return Money(-self.minor, self.currency)

    def __str__(self) -> str:
        return f"{plain_text(self.minor, self.currency)} {self.currency}"

    def _same(self, other: Money) -> int:
        if other.currency != self.currency:
            raise CurrencyMismatch(f"{self.currency} and {other.currency} cannot be added.")
        return other.minor


def places(currency: str) -> int:
    """Decimal places of a currency. ``ValueError`` for a code that is none."""
    try:
        return PLACES[currency]
    except KeyError:
        raise ValueError("there is no such currency; give an ISO 4217 code such as USD") from None


def percent(minor: int, basis_points: int) -> int:
    """A share in hundredths of a percent, rounded half up to the minor unit (R1); a negative one away from zero."""
    whole = (abs(minor) * abs(basis_points) * 2 + BASIS_POINTS) // (2 * BASIS_POINTS)
    return whole if (minor < 0) == (basis_points < 0) else -whole


def plain_text(minor: int, currency: str) -> str:
    """Digits for machines and for files: "1234.50", "-7", "0.125"."""
    digits = places(currency)
    if not digits:
        return str(minor)
    whole, rest = divmod(abs(minor), 10**digits)
    return f"{'-' if minor < 0 else ''}{whole}.{rest:0{digits}d}"


def parse(value: Decimal | int | str, currency: str) -> int:
    """A plain number, or decimal text, as minor units. ``BadAmount`` for anything else, never a guess (no sign but a
    minus, no thousands' marks, no exponent in text, nothing finer than the minor unit).
    """
    if isinstance(value, bool):
        raise BadAmount("true and false are no amounts")
    if isinstance(value, str) and not _is_plain(value):
        raise BadAmount("not plain decimal digits")
    try:
        exact = Decimal(value)
    except (InvalidOperation, ValueError) as error:
        raise BadAmount("not a number") from error
    if not exact.is_finite():
        raise BadAmount("not a finite number")
    if exact.adjusted() > 15:  # noqa: PLR2004 - beyond the largest of any currency; shifting it would build its digits
        raise BadAmount("too large")
    shifted = exact.scaleb(places(currency))
    minor = int(shifted.to_integral_value(ROUND_HALF_UP))
    if exact != Decimal(minor).scaleb(-places(currency)):  # of many digits ``shifted`` is rounded already
        raise BadAmount(f"finer than {currency} has units")
    if abs(minor) > LARGEST_MINOR:
        raise BadAmount("too large")
    return minor


def _is_plain(text: str) -> bool:
    digits = text.strip().removeprefix("-")
    whole, _, rest = digits.partition(".")
    return len(digits) <= 40 and digits.isascii() and whole.isdigit() and (rest.isdigit() or "." not in digits)  # noqa: PLR2004
