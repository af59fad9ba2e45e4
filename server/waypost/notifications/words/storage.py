"""SQL of an organisation's own words."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from asyncpg import Record

from waypost.notifications.words.domain import Chosen, Form, OwnWords
from waypost.platform.database import Connection

_WORDS = """t.kind, t.channel AS form, t.locale, t.version, t.subject, t.body, t.note, t.created_at, t.created_by"""
IN_USE = f"""
SELECT {_WORDS} FROM template_choices c
  JOIN templates t USING (org_id, kind, channel, locale, version)
 WHERE c.org_id = $1 AND c.kind = $2 AND c.channel = $3
"""  # noqa: S608
IN_USE_OF = f"""
SELECT c.org_id, {_WORDS} FROM template_choices c
  JOIN templates t USING (org_id, kind, channel, locale, version)
 WHERE (c.org_id, c.kind) IN (SELECT * FROM unnest($1::uuid[], $2::text[])) AND c.channel = $3
"""  # noqa: S608
FIND = f"""
SELECT {_WORDS} FROM templates t
 WHERE org_id = $1 AND kind = $2 AND channel = $3 AND locale = $4 AND version = $5
"""  # noqa: S608
VERSIONS = f"""
SELECT {_WORDS} FROM templates t
 WHERE org_id = $1 AND kind = $2 AND channel = $3 AND locale = $4 AND ($5::integer IS NULL OR version < $5)
 ORDER BY version DESC LIMIT $6
"""  # noqa: S608
COUNT = "SELECT count(*) FROM templates WHERE org_id = $1"
NEWEST = """
SELECT coalesce(max(version), 0) FROM templates WHERE org_id = $1 AND kind = $2 AND channel = $3 AND locale = $4
"""
CHOICES = """
SELECT kind, channel AS form, locale, version, changed_at FROM template_choices WHERE org_id = $1
 ORDER BY kind, channel, locale
"""
CHOICE = """
SELECT kind, channel AS form, locale, version, changed_at FROM template_choices
 WHERE org_id = $1 AND kind = $2 AND channel = $3 AND locale = $4
"""
# One change of a template at a time: the row is the lock, and is made where there is none.
LOCK_CHOICE = """
INSERT INTO template_choices AS c (org_id, kind, channel, locale, version, changed_at)
VALUES ($1, $2, $3, $4, NULL, $5)
ON CONFLICT (org_id, kind, channel, locale) DO UPDATE SET kind = c.kind
RETURNING kind, channel AS form, locale, version, changed_at
"""
ADD = """
INSERT INTO templates (org_id, kind, channel, locale, version, subject, body, note, created_at, created_by)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
"""
CHOOSE = """
UPDATE template_choices SET version = $5, changed_at = $6, changed_by = $7
 WHERE org_id = $1 AND kind = $2 AND channel = $3 AND locale = $4
"""


async def in_use(conn: Connection, org_id: UUID, kind: str, form: Form) -> list[OwnWords]:
    """The organisation's words that are used for a kind, in each language that it has some in."""
    return [_words(row) for row in await conn.fetch(IN_USE, org_id, kind, form)]


async def in_use_of(
    conn: Connection, kinds: Collection[tuple[UUID, str]], form: Form
) -> dict[tuple[UUID, str], list[OwnWords]]:
    """The same of many organisations and kinds at once."""
    found: dict[tuple[UUID, str], list[OwnWords]] = {}
    rows = await conn.fetch(IN_USE_OF, [org_id for org_id, _ in kinds], [kind for _, kind in kinds], form)
    for row in rows:
        of = dict(row)
        found.setdefault((of.pop("org_id"), of["kind"]), []).append(_words(of))
    return found


async def find(conn: Connection, org_id: UUID, kind: str, form: Form, locale: str, version: int) -> OwnWords | None:
    row = await conn.fetchrow(FIND, org_id, kind, form, locale, version)
    return _words(row) if row else None


async def versions(
    conn: Connection, org_id: UUID, kind: str, form: Form, locale: str, before: int | None, limit: int
) -> list[OwnWords]:
    """Newest first, ``limit + 1`` of them."""
    return [_words(row) for row in await conn.fetch(VERSIONS, org_id, kind, form, locale, before, limit + 1)]


async def count(conn: Connection, org_id: UUID) -> int:
    return int(await conn.fetchval(COUNT, org_id))


async def newest(conn: Connection, org_id: UUID, kind: str, form: Form, locale: str) -> int:
    """The number of the newest version; 0: there is none."""
    return int(await conn.fetchval(NEWEST, org_id, kind, form, locale))


async def choices(conn: Connection, org_id: UUID) -> Sequence[Chosen]:
    """Everything that an organisation has ever chosen."""
    return [_chosen(row) for row in await conn.fetch(CHOICES, org_id)]


async def choice(conn: Connection, org_id: UUID, kind: str, form: Form, locale: str) -> Chosen | None:
    row = await conn.fetchrow(CHOICE, org_id, kind, form, locale)
    return _chosen(row) if row else None


async def lock_choice(conn: Connection, org_id: UUID, kind: str, form: Form, locale: str, now: datetime) -> Chosen:
    """What is chosen, ours if nothing was, until the end of the transaction nobody else's to change."""
    (row,) = await conn.fetch(LOCK_CHOICE, org_id, kind, form, locale, now)
    return _chosen(row)


async def add(conn: Connection, org_id: UUID, words: OwnWords) -> None:
    await conn.execute(
        ADD, org_id, words.kind, words.form, words.locale, words.version, words.subject, words.body, words.note,
        words.created_at, words.created_by,
    )  # fmt: skip


async def choose(conn: Connection, org_id: UUID, chosen: Chosen, by: UUID | None) -> None:
    """Of a locked one."""
    await conn.execute(
        CHOOSE, org_id, chosen.kind, chosen.form, chosen.locale, chosen.version, chosen.changed_at, by
    )  # fmt: skip


def _words(row: Record | Mapping[str, Any]) -> OwnWords:
    return OwnWords(**{**row, "form": Form(row["form"])})


def _chosen(row: Record) -> Chosen:
    return Chosen(**{**row, "form": Form(row["form"])})
