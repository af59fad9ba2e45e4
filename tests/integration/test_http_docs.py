"""The API's description, and the page of it for people."""

from __future__ import annotations

import re
from typing import Any

from openapi_spec_validator import validate

from tests.conftest import Api
from waypost.app import DESCRIPTION, build_app, route_table
from waypost.platform.openapi import public_path
from waypost.wiring import Services


async def document(api: Api) -> Any:
    return (await api("GET", "/api/openapi.json")).json


async def test_it_is_openapi_3_1_and_valid(api: Api):
    found = await document(api)
    assert found["openapi"] == "3.1.0"
    validate(found)


async def test_it_describes_every_route_that_is_served_under_api_and_no_other(api: Api, services: Services):
    served = {
        (route.method, public_path(route.resource.canonical))
        for route in build_app(services).router.routes()
        if route.resource is not None and route.resource.canonical.startswith("/api/") and route.method != "HEAD"
    }
    described = {
        (method.upper(), path)
        for path, operations in (await document(api))["paths"].items()
        for method in operations
        if path.startswith("/api/")
    }
    assert described == served


async def test_every_code_that_a_route_may_answer_stands_in_its_description(api: Api, services: Services):
    """Row by row: the leaves of the table, by status, are the enumerated codes of the document."""
    found = await document(api)
    for row in route_table(services):
        answers = found["paths"][public_path(row.path)][row.method.lower()]["responses"]
        for status, leaves in DESCRIPTION.errors_of(row).items():
            schema = answers[str(status)]["content"]["application/problem+json"]["schema"]
            assert schema["allOf"][1]["properties"]["code"]["enum"] == sorted({leaf.code for leaf in leaves})
        assert str(row.status) in answers


async def test_operations_have_a_summary_and_an_id_of_their_own(api: Api):
    operations = [
        operation for operations in (await document(api))["paths"].values() for operation in operations.values()
    ]
    assert all(operation["summary"] for operation in operations)
    assert len({operation["operationId"] for operation in operations}) == len(operations)


async def test_the_page_shows_every_route_and_asks_for_nothing_from_elsewhere(api: Api):
    answer = await api("GET", "/docs")
    page = answer.json.decode()
    assert answer.status == 200
    for path in (await document(api))["paths"]:
        assert path in page
    linked = re.findall(r'(?:href|src)="([^"]+)"', page)
    assert all(link.startswith(("/", "#", "data:")) for link in linked)
    assert "<script" not in page
    assert "style=" not in page
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert (await api("GET", "/docs/docs.css")).status == 200
