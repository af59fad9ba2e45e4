"""JSON of others, read so that nothing in it is guessed: the traps of the reference's section 8. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn


class NotStrict(ValueError):
    """Not JSON as we take it; the text says why."""


def read_object(body: bytes) -> Mapping[str, Any]:
    """An object, its numbers exact (``int``, ``Decimal``). ``NotStrict`` for bad UTF-8, deep nesting, NaN, a key that
    is there twice, and for what is no object.
    """
    try:
        value = json.loads(
            body.decode("utf-8-sig"),
            parse_float=_exact,
            parse_constant=_no_constant,
            object_pairs_hook=_each_once,
        )
    except NotStrict:
        raise
    except RecursionError as error:
        raise NotStrict("nested too deeply") from error
    except ValueError as error:  # no UTF-8, no JSON, or a number of thousands of digits
        raise NotStrict("no JSON in UTF-8") from error
    if not isinstance(value, dict):
        raise NotStrict("no object")
    return value


def clean(text: str, most: int = 200) -> str:
    """As a text column can keep it: without NUL and halves of characters, cut at ``most``."""
    return text.encode(errors="replace").decode().replace("\0", "\ufffd")[:most]


def _exact(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation as error:  # its exponent is beyond what can be kept
        raise NotStrict("a number is beyond all measure") from error


def _no_constant(name: str) -> NoReturn:
    raise NotStrict(f"{name} is no number")


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    read = dict(pairs)
    if len(read) < len(pairs):
        raise NotStrict("a key is there twice")
    return read
