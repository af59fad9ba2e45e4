"""The devices that vehicles play as: from a file of tokens."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec


class ReplayError(Exception):
    """The replay cannot begin; the text is one line for the person who asked for it."""


class Credential(msgspec.Struct, rename="camel", omit_defaults=True, frozen=True):
    """One line of a devices file: a vehicle's token, and the trip its fixes are for (None: its running trip)."""

    vehicle: str
    token: str
    trip_id: str | None = None

    def __repr__(self) -> str:
        return f"Credential({self.vehicle!r})"  # never the token


def read_devices(path: Path) -> list[Credential]:
    """The devices of a file of JSON lines. Raises ReplayError, naming the line."""
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise ReplayError(f"{path}: cannot be read: {error.strerror}") from error
    credentials = [_credential(path, number, line) for number, line in enumerate(lines, start=1) if line.strip()]
    if not credentials:
        raise ReplayError(f'{path}: no device; expected lines of {{"vehicle": "…", "token": "…", "tripId": "…"}}')
    return credentials


def match(names: Sequence[str], credentials: Sequence[Credential]) -> list[Credential | None]:
    """A device for each name: the one that bears it, else the next in file order that bears no name of these.

    None for a name when the devices are used up.
    """
    wanted = set(names)
    by_name = {credential.vehicle: credential for credential in reversed(credentials) if credential.vehicle in wanted}
    used = {id(credential) for credential in by_name.values()}
    others = iter([credential for credential in credentials if id(credential) not in used])
    return [by_name.get(name) or next(others, None) for name in names]


def _credential(path: Path, number: int, line: bytes) -> Credential:
    try:
        return msgspec.json.decode(line, type=Credential)
    except msgspec.MsgspecError as error:
        raise ReplayError(f"{path}:{number}: no device: {error}") from error
