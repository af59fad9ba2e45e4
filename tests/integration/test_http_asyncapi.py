"""The description of the events; that it is what is really sent, every socket of the tests checks (tests/heard.py)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from jsonschema import Draft7Validator

from tests.conftest import Api
from tests.heard import Events
from waypost.app import event_table
from waypost.realtime.events import LATEST, Place
from waypost.realtime.service import fleet_room, staff_room, trip_room, user_room
from waypost.wiring import Services

ROOT = Path(__file__).resolve().parents[2]
OFFICIAL = ROOT / "tests/e2e/js/node_modules/@asyncapi/specs/schemas/3.0.0-without-$id.json"
EVENT = re.compile(r'"((?!waypost:)[a-z]+:[a-z]+)"')


async def document(api: Api) -> Any:
    return (await api("GET", "/api/asyncapi.json")).json


@pytest.mark.skipif(not OFFICIAL.is_file(), reason="run `npm ci` in tests/e2e/js first")
async def test_it_is_asyncapi_3_by_its_authors_own_schema(api: Api):
    found = await document(api)
    official = Draft7Validator(json.loads(OFFICIAL.read_text()))
    assert [error.message for error in official.iter_errors(found)] == []
    del found["operations"]["tripJoin"]["action"]
    assert not official.is_valid(found)  # or it would take anything


def references(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        if isinstance(found := value.get("$ref"), str):
            yield found
        for each in value.values():
            yield from references(each)
    elif isinstance(value, list):
        for each in value:
            yield from references(each)


def resolved(found: Any, reference: str) -> Any:
    for part in reference.removeprefix("#/").split("/"):
        found = found[part]
    return found


async def test_every_reference_in_it_leads_somewhere_and_every_part_is_referred_to(api: Api):
    found = await document(api)
    referred = set(references(found))
    for reference in referred:
        assert resolved(found, reference)
    for name in ("messages", "schemas"):
        unused = {f"#/components/{name}/{key}" for key in found["components"][name]} - referred
        bodies = {each for each in unused if name == "schemas"}  # merged with what every ack or event of a room has
        assert unused == bodies


async def test_operations_use_messages_of_their_own_channel_and_say_what_they_do(api: Api):
    found = await document(api)
    for operation in found["operations"].values():
        assert operation["summary"]
        for part in filter(None, [operation, operation.get("reply")]):
            channel = part["channel"]["$ref"]
            for message in part["messages"]:
                assert message["$ref"].startswith(f"{channel}/messages/")
                assert resolved(found, resolved(found, message["$ref"])["$ref"])["payload"]


async def test_it_describes_every_event_that_is_answered_and_no_other(api: Api, services: Services):
    assert set(Events.of(await document(api)).commands) == set(services.hub.commands.handlers)


async def test_every_name_of_an_event_in_the_code_is_described(services: Services):
    """Else something would be told of which no test has heard."""
    named = {
        name
        for path in [*(ROOT / "server/waypost").rglob("*.py"), *(ROOT / "workers/waypost_workers").rglob("*.py")]
        if "replay" not in path.parts
        for name in EVENT.findall(path.read_text())
    }
    events = event_table(services)
    described = {row.name for row in events.commands} | {row.name for row in events.told}
    assert described - {"error", "alert"} <= named  # those two are single words
    assert named - described == set()


async def test_an_event_of_a_room_has_its_place_and_one_that_may_stand_for_several_says_from(
    api: Api, services: Services
):
    messages = {each["name"]: each["payload"] for each in (await document(api))["components"]["messages"].values()}
    for row in event_table(services).told:
        has = messages[row.name].get("properties", {}).keys()
        assert {"epoch", "seq"} <= has if row.counted else not {"epoch", "seq", "from"} & has
        assert ("from" in has) == row.spans
    assert {row.name for row in event_table(services).told if row.spans} == LATEST | {"own:gap"}


async def test_every_code_that_a_command_may_answer_stands_in_its_refusal(api: Api, services: Services):
    found = await document(api)
    for row in event_table(services).commands:
        _, refused = Events.of(found).commands[row.name]
        codes = found["components"]["messages"][refused]["payload"]["properties"]["error"]["properties"]["code"]
        assert codes["enum"] == sorted({leaf.code for leaf in row.refusals})


async def test_an_event_that_only_shows_a_gap_is_as_described_too(api: Api, services: Services):
    events, broadcast = Events.of(await document(api)), services.hub.broadcast
    one, two = UUID(int=1), UUID(int=2)
    for room in (trip_room(one, two), fleet_room(one), staff_room(one), user_room(one, two)):
        for place in (Place("ab", 0), Place("ab", 7)):
            broadcast.declare(room, place)
            event = broadcast.incoming[-1]
            assert events.wrong_of(event.name, event.body) == []


async def test_the_page_shows_every_event(api: Api, services: Services):
    page = (await api("GET", "/docs")).json.decode()
    events = event_table(services)
    assert 'href="/api/asyncapi.json"' in page
    for row in (*events.commands, *events.told):
        assert f'<code class="path">{row.name}</code>' in page, row.name


async def test_two_rows_of_one_name_are_refused(services: Services):
    events = event_table(services)
    with pytest.raises(ValueError, match="trip:event"):
        type(events).of(events.commands, [*events.told, *(row for row in events.told if row.name == "trip:event")])
