"""CSV as RFC 4180 has it, safe to open in a spreadsheet."""

from __future__ import annotations

import re
from collections.abc import Iterable

BOM = "\ufeff"  # tells a spreadsheet that the file is UTF-8
# What a spreadsheet takes for the beginning of a formula; the wide forms too, which some fold to the plain ones.
_FORMULA = re.compile(r"[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
_NUMBER = re.compile(r"-\d+(?:\.\d+)?\Z")  # a number runs nothing
_TO_QUOTE = re.compile(r'[",\r\n]')


def harmless(text: str) -> str:
    """The text with a ' before it if a spreadsheet would run it as a formula (OWASP, "CSV Injection")."""
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.match(text) else text


def line(cells: Iterable[str | None]) -> str:
    """One record with its CRLF. None is an empty cell; quoted is only what has to be."""
    return ",".join(_cell(cell) for cell in cells) + "\r\n"


def _cell(cell: str | None) -> str:
    if not cell:
        return ""
    text = harmless(cell)
    return '"' + text.replace('"', '""') + '"' if _TO_QUOTE.search(text) else text
