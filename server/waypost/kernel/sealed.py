"""What was stored sealed and cannot be read: the key is gone."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import msgspec

from waypost.kernel.errors import Unavailable, invalid_field

CANNOT_BE_READ: Final = "the settings cannot be read any more: give all anew"
T = TypeVar("T", bound=msgspec.Struct)


class Unreadable(Unavailable):
    """A stored secret cannot be read with the keys that this server has; its operator has to give back the old key."""

    code = "secret-unreadable"
    retry = False


@dataclass(frozen=True, slots=True)
class Lost:
    """In place of settings that cannot be read. ``mark``: of the sealed text, so another once they are set anew."""

    mark: str

    @classmethod
    def of(cls, sealed: str) -> Lost:
        return cls(hashlib.sha256(sealed.encode()).hexdigest()[:16])


def anew(kind: type[T], fields: Mapping[str, Any]) -> T:
    """Settings of these fields alone; ``Invalid`` names one that they need: what stood there before is not known."""
    for each in msgspec.structs.fields(kind):
        if each.required and each.name not in fields:
            raise invalid_field(f"config.{each.encode_name}", CANNOT_BE_READ)
    return kind(**fields)
