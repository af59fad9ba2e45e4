"""A planned stop as the official JavaScript client sees it: whatever it was at, it comes back by itself."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import Api
from tests.e2e.test_js_client import javascript, pytestmark
from tests.factories import Org
from tests.waiting import until
from waypost.realtime.connection import Connection
from waypost.wiring import Services

__all__ = ["pytestmark"]


@pytest.mark.parametrize("transport", ["websocket", "polling"])
async def test_a_client_whose_connect_comes_during_a_stop_is_not_refused_and_connects_to_the_next_node(
    api: Api, org: Org, services: Services, monkeypatch: pytest.MonkeyPatch, transport: str
):
    stack = services.hub.stack
    opened, begun = stack.clients.opened, list[Connection]()

    def stop_begins(connection: Connection, request: Any) -> None:
        """Between the transport and its CONNECT."""
        opened(connection, request)
        if not begun:
            begun.append(connection)
            stack.refuse_new()

    monkeypatch.setattr(stack.clients, "opened", stop_begins)
    quick = {"reconnection": True, "reconnectionDelay": 20, "reconnectionDelayMax": 50, "randomizationFactor": 0}
    options = {"transports": [transport], "auth": {"token": await org.token()}, **quick}
    async with javascript(api.url, **options) as client:
        await until(lambda: begun and begun[0].closed)
        assert not services.hub.door.connections
        stack.clients.is_draining = False  # the next node, under the same address
        for server in stack.servers:
            server.eio.is_draining = False
        await client.said("connect")
        assert (await client.ask("fleet:join", {}))["ok"] is True
        refusals = [line for line in client.lines if line["said"] == "connect_error" and line["data"] is not None]
        assert refusals == []
