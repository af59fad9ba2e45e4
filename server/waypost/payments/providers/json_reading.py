"""Values in a provider's JSON, read by what they must be: text that came as a number, a number that came as text, and
nothing that is guessed. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from typing import Any, Final

from waypost.kernel.money import BadAmount, parse
from waypost.payments.providers.strict_json import clean

MOST_DIGITS: Final = 20  # of a number that stands for text
LONGEST_NAME: Final = 64  # of a receipt, and of a provider's names of things
MOMENT: Final = "%Y%m%d%H%M%S"
EARLIEST_YEAR, LATEST_YEAR = 2000, 2199


def text_of(value: object, most: int = 200) -> str | None:
    """Text as it may leave the raw row; a whole number is its digits. None: there is none, or nothing in it."""
    if isinstance(value, str):
        return clean(value, most).strip() or None
    if isinstance(value, Decimal):
        return _digits(value)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**MOST_DIGITS:
        return str(value)
    return None


def code_of(value: object) -> str | None:
    """A code: 0, "0", 0.0 and " 0 " are one."""
    text = text_of(value, LONGEST_NAME)
    if text is not None and text.isascii() and text.isdigit():
        return text.lstrip("0") or "0"
    return text


def name_of(value: object) -> str | None:
    """A receipt, or a provider's name of a thing: visible characters without a blank, none lost. None: it is none."""
    text = value.strip() if isinstance(value, str) else text_of(value)
    fits = text and len(text) <= LONGEST_NAME and text.isascii() and text.isprintable() and " " not in text
    return text if fits else None


def amount_of(value: object, currency: str) -> int:
    """Minor units of money that moved. ``BadAmount`` for what is no positive number, and for what is finer than the
    currency has units.
    """
    if not isinstance(value, Decimal | int | str):
        raise BadAmount("not there" if value is None else "not a number")
    amount = parse(value, currency)
    if amount <= 0:
        raise BadAmount("not positive")
    return amount


def moment_of(value: object, zone: tzinfo) -> datetime | None:
    """Fourteen digits, local time there; None: it is no such time."""
    text = text_of(value)
    if text is None or len(text) != len("20261122091500") or not (text.isascii() and text.isdigit()):
        return None
    try:
        at = datetime.strptime(text, MOMENT).replace(tzinfo=zone)
    except ValueError:
        return None
    return at.astimezone(UTC) if EARLIEST_YEAR <= at.year <= LATEST_YEAR else None


def object_in(value: object, *path: str) -> Mapping[str, Any] | None:
    """The object at the end of a path of names; None: there is none."""
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else None


def named_values(items: object, name: str, value: str) -> Mapping[str, Any] | None:
    """A list of {name, value} by name; an entry without a value has none. None: no such list, or one that contradicts
    itself.
    """
    if isinstance(items, dict):  # a list of one, as XML's children become it
        items = [items]
    if not isinstance(items, list):
        return None
    found: dict[str, Any] = {}
    for item in items:
        key = text_of(item.get(name)) if isinstance(item, dict) else None
        if key is None:
            continue
        if key in found and found[key] != item.get(value):
            return None
        found[key] = item.get(value)
    return found


def _digits(value: Decimal) -> str | None:
    if not value.is_finite() or value.adjusted() >= MOST_DIGITS or value != value.to_integral_value():
        return None
    return str(int(value))
