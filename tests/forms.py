"""One batch in its forms: objects as JSON has them, and columns of differences. Rows are whole steps of the columns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

import msgpack

from waypost.replay.columns import steps

Steps = dict[str, int | None]  # a location: None is unknown

NAMES = {"timestamp": "t", "latitude": "la", "longitude": "lo", "accuracy": "ac", "speed": "sp", "heading": "he",
         "altitude": "al", "battery": "ba"}  # fmt: skip


def as_objects(rows: Sequence[Steps], first: int, places: int = 6, mocked: Iterable[int] = ()) -> list[dict[str, Any]]:
    """The ``locations`` of a batch. Numbers are those that JSON's decimal text gives."""
    scales = {"latitude": 10**places, "longitude": 10**places, "speed": 10}
    made: list[dict[str, Any]] = []
    for index, row in enumerate(rows):
        known = {name: value for name, value in row.items() if value is not None}
        numbers = {name: value / scales[name] if name in scales else value for name, value in known.items()}
        made.append({**numbers, "n": first + index, **({"mock": True} if index in mocked else {})})
    return made


def as_columns(
    rows: Sequence[Steps], stream: UUID, first: int, places: int = 6, mocked: Iterable[int] = (), **more: object
) -> bytes:
    """The same in columns, packed."""
    columns = {short: steps(row.get(name) for row in rows) for name, short in NAMES.items()}
    batch = {"v": 1, "k": places, "stream": str(stream), "n0": first, "mk": sorted(mocked), **columns, **more}
    return msgpack.packb(batch)  # type: ignore[no-any-return]  # the library is untyped
