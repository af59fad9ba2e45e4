"""Reads a vector tile of points with a decoder that shares nothing with the encoder: protobuf by the book."""

from __future__ import annotations

from collections.abc import Iterator

Field = tuple[int, int | bytes]


def points(tile: bytes) -> dict[str, dict[int, list[tuple[int, int]]]]:
    """Each layer's points, (column, row), by the value of their feature's one property."""
    return {layer: features for number, body in fields(tile) if number == 3 for layer, features in [_layer(body)]}


def fields(message: int | bytes) -> Iterator[Field]:
    assert isinstance(message, bytes)
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        if key & 7 == 0:
            value, at = _varint(message, at)
            yield key >> 3, value
        else:
            assert key & 7 == 2
            length, at = _varint(message, at)
            assert at + length <= len(message)
            yield key >> 3, message[at : at + length]
            at += length


def _layer(body: int | bytes) -> tuple[str, dict[int, list[tuple[int, int]]]]:
    parts = list(fields(body))
    (name,) = [value for number, value in parts if number == 1]
    assert isinstance(name, bytes)
    assert (15, 2) in parts
    assert (5, 4096) in parts
    assert [value for number, value in parts if number == 3] == [b"rank"]
    values = [dict(fields(value))[5] for number, value in parts if number == 4]
    features = {}
    for number, value in parts:
        if number == 2:
            feature = dict(fields(value))
            assert feature[3] == 1  # POINT
            tags = list(_varints(feature[2]))
            assert tags[0] == 0
            features[int(values[tags[1]])] = _geometry(feature[4])  # type: ignore[arg-type]
    return name.decode(), features


def _geometry(body: int | bytes) -> list[tuple[int, int]]:
    command, *numbers = _varints(body)
    assert command & 7 == 1  # MoveTo
    assert command >> 3 == len(numbers) // 2
    x = y = 0
    found = []
    for dx, dy in zip(numbers[::2], numbers[1::2], strict=True):
        x, y = x + _signed(dx), y + _signed(dy)
        found.append((x, y))
    return found


def _signed(number: int) -> int:
    return number >> 1 if number % 2 == 0 else -(number + 1 >> 1)


def _varints(body: int | bytes) -> Iterator[int]:
    assert isinstance(body, bytes)
    at = 0
    while at < len(body):
        number, at = _varint(body, at)
        yield number


def _varint(body: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = body[at]
        at += 1
        number |= (byte & 127) << shift
        if byte < 128:
            return number, at
        shift += 7
