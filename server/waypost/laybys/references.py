"""The payment reference: short, since customers type it by hand; without look-alikes, with a check character."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # no I L O U
BODY = 6  # characters, and one to check them
_BITS = 5  # a character
_LOOK_ALIKES = str.maketrans("OIL", "011")
MOST_CHARACTERS = 40  # of what somebody typed; a longer text is no reference, and suggests nothing


def check_character(body: str) -> str:
    """The sum that every single change, and every swap of two characters, alters. ``body``: of ``ALPHABET`` only."""
    sum_ = 0
    for character in body:
        sum_ ^= ALPHABET.index(character)
        sum_ = sum_ << 1 ^ (0x25 if sum_ & 16 else 0)  # times two in GF(2^5)
    return ALPHABET[sum_]


def new_reference(randbits: Callable[[int], int]) -> str:
    """A new one; whether it is free in the organisation is the database's to say."""
    bits = randbits(_BITS * BODY)
    body = "".join(ALPHABET[bits >> _BITS * place & 31] for place in range(BODY))
    return body + check_character(body)


def normal_form(text: str) -> str:
    """As it is stored and looked up: upper case, letters and digits only, O is 0, I and L are 1.

    References that an organisation brought along have one too, whatever their length and characters.
    """
    letters = unicodedata.normalize("NFKC", text).upper()
    return "".join(c for c in letters if c.isascii() and c.isalnum()).translate(_LOOK_ALIKES)


def is_well_formed(text: str) -> bool:
    """Could this be one of ours? False: it was mistyped, or is not of our making."""
    typed = normal_form(text)
    body, check = typed[:BODY], typed[BODY:]
    return len(body) == BODY and all(c in ALPHABET for c in body) and check_character(body) == check


def near(text: str) -> list[str]:
    """References of ours that one slip away from what was typed: a character changed, swapped, lost or added."""
    typed = normal_form(text)
    if len(typed) > MOST_CHARACTERS:
        return []
    return sorted({candidate for candidate in _slips(typed) if candidate != typed and is_well_formed(candidate)})


def _slips(typed: str) -> Iterator[str]:
    for at in range(len(typed) + 1):
        before, after = typed[:at], typed[at:]
        if after:
            yield before + after[1:]
        if len(after) > 1:
            yield before + after[1] + after[0] + after[2:]
        for character in ALPHABET:
            yield before + character + after
            if after:
                yield before + character + after[1:]
