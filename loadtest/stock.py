"""Stock python-socketio as its documentation shows it, to be measured beside: ``python -m loadtest.stock PORT``.

It sends what the peer's own bench sends: `POST /bench/fanout?room=&messages=`.
"""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Any

import socketio
from aiohttp import web

from waypost.commands.common import loop_factory

PAUSE_S = 0  # lets each broadcast leave before the next, as the peer does

sio = socketio.AsyncServer(async_mode="aiohttp", cors_allowed_origins=[])


@sio.on("join")
async def join(sid: str, data: dict[str, Any]) -> dict[str, bool]:
    await sio.enter_room(sid, f"trip:{data['tripId']}")
    return {"ok": True}


async def fanout(request: web.Request) -> web.Response:
    """Emit so many to a room."""
    room = f"trip:{request.query['room']}"
    for number in range(int(request.query["messages"])):
        await sio.emit("location", _location(number), room=room)
        await asyncio.sleep(PAUSE_S)
    return web.json_response({})


def _location(number: int) -> dict[str, object]:
    """What the limit and the peer send."""
    return {
        "tripId": "0190f5c2-8f2e-7a5c-9d7e-3b1f2a4c5d6e", "lat": -17.8252, "lon": 31.0335, "speed": 13.4,
        "heading": 271, "seq": number, "t": time.monotonic_ns(), "recordedAt": "2026-11-22T01:49:00Z",
        "driver": "0190f5c2-8f2e-7a5c",
    }  # fmt: skip


def main() -> None:
    app = web.Application()
    sio.attach(app)
    app.router.add_post("/bench/fanout", fanout)
    make_loop = loop_factory()
    loop = make_loop() if make_loop else None
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), access_log=None, print=None, loop=loop)


if __name__ == "__main__":
    main()
