"""``waypost secrets`` as its operator uses it: a new key first, everything sealed anew, the old key dropped."""

from __future__ import annotations

from tests.e2e.commands import clean_environment, waypost
from tests.factories import Org
from waypost.platform.secretbox import SecretBox


async def test_a_key_is_rotated_and_the_old_one_can_go(environment: dict[str, str], org: Org):
    async with org.services.database.transaction(org.org_id) as conn:
        await conn.execute(
            "INSERT INTO idempotency_keys (org_id, caller_id, key, mark, status, answer, created_at)"
            " VALUES ($1, $2, 'k', '', 201, $3, now())",
            org.org_id,
            org.owner.user_id,
            org.services.box.seal(b"an answer"),
        )
    key = (await waypost("secrets", "key", env=clean_environment())).text.strip()
    keys = f"{key},{environment['WAYPOST_ENCRYPTION_KEYS']}"
    done = await waypost("secrets", "rotate", env=clean_environment(environment | {"WAYPOST_ENCRYPTION_KEYS": keys}))
    assert (done.status, "1 secret is under the newest key" in done.text) == (0, True), done.text
    async with org.services.database.transaction(org.org_id) as conn:
        sealed = await conn.fetchval("SELECT answer FROM idempotency_keys")
    assert SecretBox.of(key).open(sealed) == b"an answer"


async def test_a_rotation_without_the_old_key_says_which_is_missing(environment: dict[str, str], org: Org):
    async with org.services.database.transaction(org.org_id) as conn:
        await conn.execute(
            "INSERT INTO idempotency_keys (org_id, caller_id, key, mark, status, answer, created_at)"
            " VALUES ($1, $2, 'k', '', 201, $3, now())",
            org.org_id,
            org.owner.user_id,
            org.services.box.seal(b"an answer"),
        )
    key = (await waypost("secrets", "key", env=clean_environment())).text.strip()
    done = await waypost("secrets", "rotate", env=clean_environment(environment | {"WAYPOST_ENCRYPTION_KEYS": key}))
    assert done.status == 1
    assert "idempotency_keys 1" in done.complaint
    assert "Put the key that they were sealed with back" in done.complaint
    assert "Traceback" not in done.complaint
