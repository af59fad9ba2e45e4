"""What a paper is made of: text that is already in its reader's language, in the order in which it stands there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec


class Shop(msgspec.Struct, frozen=True):
    """Whose paper it is. ``colour``: "#rrggbb"; ``lines``: address, telephone and the like; ``footer``: small print;
    ``logo``: what its picture is called, "": it has none; ``picture``: that, a PNG, once the press has fetched it.
    """

    name: str
    lines: Sequence[str] = ()
    colour: str = "#1f4e79"
    footer: str = ""
    logo: str = ""
    picture: bytes = b""


class Field(msgspec.Struct, frozen=True):
    """A label and its value."""

    label: str
    value: str


class Figure(msgspec.Struct, frozen=True, tag="figure", tag_field="block"):
    """The one number that the reader looks for."""

    label: str
    value: str


class Fields(msgspec.Struct, frozen=True, tag="fields", tag_field="block"):
    """Facts, one under the other."""

    fields: Sequence[Field]
    title: str = ""


class Column(msgspec.Struct, frozen=True):
    """``align`` right: of numbers. ``share``: its part of the room that the others leave; 0: no more than it needs."""

    title: str
    align: Literal["left", "right"] = "left"
    share: Literal[0, 1, 3] = 0


class Table(msgspec.Struct, frozen=True, tag="table", tag_field="block"):
    """``sums``: rows under the line, the last of them strong; each a label and the value of the last column."""

    columns: Sequence[Column]
    rows: Sequence[Sequence[str]]
    sums: Sequence[Field] = ()
    title: str = ""


class Text(msgspec.Struct, frozen=True, tag="text", tag_field="block"):
    """Sentences; ``listed``: each a point of its own."""

    paragraphs: Sequence[str]
    title: str = ""
    listed: bool = False


class Signatures(msgspec.Struct, frozen=True, tag="signatures", tag_field="block"):
    """Lines to sign on, each with what stands under it."""

    labels: Sequence[str]


Block = Figure | Fields | Table | Text | Signatures


class Paper(msgspec.Struct, frozen=True):
    """A document. ``language``: a BCP 47 tag; ``to``: whom it is for.

    ``page``: "Page {page} of {pages}", which the press fills in.
    """

    language: str
    title: str
    number: str
    shop: Shop
    to: Sequence[str]
    facts: Sequence[Field]
    blocks: Sequence[Block]
    page: str = "{page} / {pages}"
