"""The alphabet of an SMS (3GPP TS 23.038, GSM 7 bit) and what may be written with it instead. Pure."""

# ruff: noqa: RUF001 - that letters look alike is what this file is about

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import Final

BASIC: Final = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
EXTENDED: Final = frozenset("^{}\\[~]|€\f")  # each costs two

# What nobody misses: quotes, dashes, spaces and the like.
TWINS: Final[Mapping[str, str]] = {
    **dict.fromkeys("‘’‚‛′´`ʼ", "'"),
    **dict.fromkeys("“”„‟″«»", '"'),
    **dict.fromkeys("‐‑‒–—―−", "-"),
    **dict.fromkeys(
        "\u00a0\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000\t", " "
    ),
    **dict.fromkeys("\u200b\u200c\u200d\u2060\ufeff\u00ad", ""),
    "…": "...",
    "•": "-",
    "·": "-",
    "×": "x",
    "⁄": "/",
}
_POORER: Final[Mapping[str, str]] = {"œ": "oe", "Œ": "OE", "ł": "l", "Ł": "L", "đ": "d", "Đ": "D", "ı": "i", "º": "o"}


def in_gsm(text: str) -> bool:
    """Can it be written in the seven-bit alphabet?"""
    return all(letter in BASIC or letter in EXTENDED for letter in text)


def downgrade(text: str) -> str:
    """The same with the twins that the alphabet has; what has none stays."""
    return "".join(letter if letter in BASIC else TWINS.get(letter, letter) for letter in text)


def plain(text: str) -> str:
    """Letters that the alphabet lacks lose their accents, too: readable, but not as it is spelt. Others stay."""
    return "".join(
        letter if in_gsm(letter) else _poorer(letter) for letter in downgrade(unicodedata.normalize("NFC", text))
    )


def _poorer(letter: str) -> str:
    bare = _POORER.get(letter) or "".join(
        part for part in unicodedata.normalize("NFKD", letter) if not unicodedata.combining(part)
    )
    return bare if bare and in_gsm(bare) else letter
