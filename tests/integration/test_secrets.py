"""Secrets at rest: rotated under load of none, and never in a log, an error or a repr."""

from __future__ import annotations

from collections import Counter
from uuid import uuid4

from tests.conftest import Api
from tests.factories import Org
from waypost.platform.rotation import SEALED, Rotated, rotate
from waypost.platform.secretbox import SecretBox, new_key
from waypost.settings import Settings
from waypost.wiring import Services

SEALED_COLUMNS = """
SELECT c.relname, a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
 WHERE c.relnamespace = 'public'::regnamespace AND col_description(c.oid, a.attnum) = 'sealed'
"""


async def test_every_secret_is_readable_under_the_new_key_alone_after_a_rotation(
    api: Api, org: Org, services: Services, environment: dict[str, str]
):
    owner = api.as_(await org.token())
    for number in range(450):  # more than two batches
        await _keep(services, org, f"key {number}")
    answer = await owner("POST", "/api/v1/trips", {}, headers={"Idempotency-Key": "mine"})
    old, new = environment["WAYPOST_ENCRYPTION_KEYS"], new_key()
    told: list[tuple[str, int]] = []
    assert await rotate(services.database, SecretBox.of(f"{new},{old}"), lambda *step: told.append(step)) == Rotated(
        451
    )
    assert told[-1] == ("idempotency_keys", 451)
    async with services.database.transaction(org.org_id) as conn:
        kept = [row["answer"] for row in await conn.fetch("SELECT answer FROM idempotency_keys")]
    bodies = [SecretBox.of(new).open(each) for each in kept]
    assert len(bodies) == 451
    assert any(answer.json["id"].encode() in body for body in bodies)
    assert await rotate(services.database, SecretBox.of(f"{new},{old}"), lambda *_: None) == Rotated(
        451
    )  # may be repeated


async def test_a_rotation_leaves_what_it_cannot_read_as_it_is_and_renews_all_else(
    org: Org, services: Services, environment: dict[str, str]
):
    await _keep(services, org, "one")
    other, newest = new_key(), SecretBox.of(new_key())
    assert await rotate(services.database, newest, lambda *_: None) == Rotated(0, Counter({"idempotency_keys": 1}))
    await _keep(services, org, "two", SecretBox.of(other))
    keys = f"{new_key()},{environment['WAYPOST_ENCRYPTION_KEYS']}"
    assert await rotate(services.database, SecretBox.of(keys), lambda *_: None) == Rotated(
        1, Counter({"idempotency_keys": 1})
    )
    async with services.database.transaction(org.org_id) as conn:
        kept = [row["answer"] for row in await conn.fetch("SELECT answer FROM idempotency_keys ORDER BY created_at")]
    assert [SecretBox.of(keys).open(kept[0]), SecretBox.of(other).open(kept[1])] == [b"one", b"two"]


async def test_every_column_that_the_schema_calls_sealed_is_rotated(services: Services):
    async with services.database.pool.acquire() as conn:
        found = {tuple(row) for row in await conn.fetch(SEALED_COLUMNS)}
    assert found == {(sealed.table, sealed.column) for sealed in SEALED}


def test_no_secret_is_in_a_repr(environment: dict[str, str]):
    settings = Settings.from_env(environment)
    for secret in (environment["WAYPOST_ENCRYPTION_KEYS"], environment["WAYPOST_SIGNING_KEY"]):
        assert secret not in repr(settings)
        assert secret not in str(settings.model_dump())
        assert secret not in repr(SecretBox.of(environment["WAYPOST_ENCRYPTION_KEYS"]))


async def _keep(services: Services, org: Org, text: str, box: SecretBox | None = None) -> None:
    async with services.database.transaction(org.org_id) as conn:
        await conn.execute(
            "INSERT INTO idempotency_keys (org_id, caller_id, key, mark, status, answer, created_at)"
            " VALUES ($1, $2, $3, '', 201, $4, now())",
            org.org_id,
            org.owner.user_id,
            str(uuid4()),
            (box or services.box).seal(text.encode()),
        )
