"""Our own receipt numbers: for what staff type in, and for rows that move no money."""

from __future__ import annotations

from uuid import UUID

from waypost.laybys.references import ALPHABET, check_character

RANDOM_BITS = 60  # of a UUIDv7's last ones
_LETTERS = RANDOM_BITS // 5


def receipt_of(payment_id: UUID, prefix: str = "R") -> str:
    """The number of a row: it follows from the row's random id, so that no till asks another; "R-4Q7M-9XAB-C3DE-F".

    Its last character is a check character, as of a payment reference.
    """
    bits = payment_id.int & (1 << RANDOM_BITS) - 1
    body = "".join(ALPHABET[bits >> 5 * n & 31] for n in reversed(range(_LETTERS)))
    groups = "-".join(body[n : n + 4] for n in range(0, _LETTERS, 4))
    return f"{prefix}-{groups}-{check_character(body)}"
