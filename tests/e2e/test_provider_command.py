"""``waypost provider`` as its operator uses it: added from a file, listed, tried."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.e2e.commands import clean_environment, waypost
from tests.factories import Org

BODY: dict[str, Any] = {
    "name": "Africa's Talking", "sender": "JACARANDA",
    "config": {"provider": "africastalking", "username": "jacaranda", "apiKey": "key-that-nobody-sees"},
}  # fmt: skip


async def test_a_provider_is_added_from_a_file_listed_and_tried(environment: dict[str, str], org: Org, tmp_path: Path):
    file, env = tmp_path / "provider.json", clean_environment(environment)
    file.write_text(json.dumps(BODY))
    added = await waypost("provider", "add", "--org", str(org.org_id), "--file", str(file), env=env)
    assert added.status == 0, added.complaint
    assert "/api/v1/callbacks/messages/" in added.text
    listed = await waypost("provider", "list", "--org", str(org.org_id), env=env)
    assert ["Africa's Talking" in listed.text, "africastalking" in listed.text] == [True, True]
    assert "nobody-sees" not in added.text + listed.text
    provider_id = added.text.split()[3]
    tried = await waypost(
        "provider", "test", provider_id, "--org", str(org.org_id), "--to", "+263771234567", "--wait", "0", env=env
    )
    assert (tried.status, "are a relay and a worker running?" in tried.complaint) == (1, True)


async def test_what_cannot_work_is_said_in_a_line_with_its_field(environment: dict[str, str], org: Org, tmp_path: Path):
    file, env = tmp_path / "provider.json", clean_environment(environment)
    file.write_text(json.dumps(BODY | {"sender": "a name that is too long"}))
    refused = await waypost("provider", "add", "--org", str(org.org_id), "--file", str(file), env=env)
    assert (refused.status, "sender" in refused.complaint, "Traceback" in refused.complaint) == (2, True, False)
