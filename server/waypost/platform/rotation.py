"""Sealing every stored secret anew under the newest key, so that an old key can be dropped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from waypost.platform.database import SYSTEM, Database
from waypost.platform.secretbox import SecretBox, Unreadable

BATCH: Final = 200


@dataclass(frozen=True, slots=True)
class Sealed:
    """A column of sealed secrets, and the primary key of its table."""

    table: str
    column: str
    key: tuple[str, ...]


# Every column that holds something sealed stands here; a test compares the list with what the schema says of itself.
SEALED: Final = (
    Sealed("idempotency_keys", "answer", ("org_id", "caller_id", "key")),
    Sealed("devices", "owntracks_secret", ("org_id", "id")),
    Sealed("payment_providers", "config", ("org_id", "id")),
    Sealed("payment_providers", "c2b_token", ("org_id", "id")),
    Sealed("prompts", "token", ("org_id", "id")),
    Sealed("reversal_requests", "token", ("org_id", "id")),
    Sealed("message_providers", "config", ("org_id", "id")),
    Sealed("push_subscriptions", "keys", ("org_id", "id")),
    Sealed("house_keys", "value", ("name",)),
    Sealed("webhooks", "secrets", ("org_id", "id")),
)


@dataclass(slots=True)
class Rotated:
    """``renewed``: how many are under the newest key; ``lost``: how many of each table fit none of the keys, and stay
    as they are.
    """

    renewed: int = 0
    lost: Counter[str] = field(default_factory=Counter)


async def rotate(database: Database, box: SecretBox, progress: Callable[[str, int], None]) -> Rotated:
    """Renew all, a small transaction at a time. May be repeated, and interrupted at any moment.

    ``progress`` gets the table and how many of its rows are done.
    """
    rotated = Rotated()
    for sealed in SEALED:
        await _rotate(database, box, sealed, progress, rotated)
    return rotated


async def _rotate(
    database: Database, box: SecretBox, sealed: Sealed, progress: Callable[[str, int], None], rotated: Rotated
) -> None:
    key = ", ".join(sealed.key)
    after = ", ".join(f"${number}" for number in range(1, len(sealed.key) + 1))
    names = f"SELECT {key}, {sealed.column} FROM {sealed.table} WHERE {sealed.column} IS NOT NULL"  # noqa: S608 - constants of this file
    first = f"{names} ORDER BY {key} LIMIT {BATCH} FOR UPDATE"
    following = f"{names} AND ({key}) > ({after}) ORDER BY {key} LIMIT {BATCH} FOR UPDATE"
    value = f"${len(sealed.key) + 1}"
    renew = f"UPDATE {sealed.table} SET {sealed.column} = {value} WHERE ({key}) = ({after})"  # noqa: S608
    done, last = 0, None
    while True:
        async with database.transaction(SYSTEM) as conn:
            rows = await (conn.fetch(following, *last) if last else conn.fetch(first))
            renewed = [(row, _renewed(box, row[sealed.column])) for row in rows]
            for row, anew in renewed:
                if anew is not None:
                    await conn.execute(renew, *(row[name] for name in sealed.key), anew)
        if not rows:
            return
        lost = sum(anew is None for _, anew in renewed)
        rotated.renewed += len(rows) - lost
        rotated.lost += Counter({sealed.table: lost} if lost else {})
        done, last = done + len(rows), [rows[-1][name] for name in sealed.key]
        progress(sealed.table, done)


def _renewed(box: SecretBox, text: str) -> str | None:
    try:
        return box.renew(text)
    except Unreadable:
        return None
