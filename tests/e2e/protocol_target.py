"""What the protocol authors' own test suites are run against: our socket classes, and none of the product's handlers.

``python -m tests.e2e.protocol_target --port N`` prints one line once it listens. Engine.IO echoes at /engine.io/;
Socket.IO is at /socket.io/ (JSON) and /socket.io/msgpack/, with the namespaces / and /custom.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
from contextlib import suppress

from aiohttp import web

from waypost.commands.common import loop_factory
from waypost.platform.telemetry import configure_logs
from waypost.realtime.connection import Connection
from waypost.realtime.engine import EngineServer
from waypost.realtime.fanout import Options, Stack, WebSocket
from waypost.realtime.letters import Letter
from waypost.realtime.traffic import Traffic

OPTIONS = Options(ping_interval_s=0.3, ping_timeout_s=0.2, max_payload_bytes=1_000_000, connect_timeout_s=1.0)


class Echo:
    """What the suites expect of the server behind the sockets."""

    stack: Stack

    async def connected(self, sid: str, _request: web.Request, auth: object) -> None:
        self.stack.send(sid, "auth", auth or {})

    async def disconnected(self, sid: str) -> None:
        """Nothing is kept."""

    async def received(self, sid: str, name: str, arguments: list[object]) -> object:
        if name == "message":
            self.stack.send(sid, "message-back", *arguments)
        return tuple(arguments)


def echoing_engine() -> EngineServer:
    """Engine.IO alone."""

    def echo(connection: Connection, data: str | bytes) -> None:
        connection.put(Letter(packed=data) if isinstance(data, bytes) else Letter(b"4" + data.encode()))

    engine = EngineServer(Traffic(OPTIONS), driver=WebSocket)
    engine.on("connect", lambda _connection, _request: None)
    engine.on("message", echo)
    engine.on("disconnect", lambda _connection, _why: None)
    return engine


def build(options: Options = OPTIONS) -> tuple[web.Application, Stack]:
    """The target as an application."""
    app = web.Application()
    port = Echo()
    port.stack = Stack(port, options, namespaces=("/", "/custom"))
    port.stack.attach(app)
    echoing_engine().attach(app)
    app.on_shutdown.append(lambda _app: port.stack.close())
    return app, port.stack


async def serve(port: int) -> None:
    """Until a signal."""
    app, stack = build()
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "localhost", port).start()
    print(f"listening on port {port}", flush=True)  # noqa: T201 - whoever started it waits for this line
    stop = asyncio.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    sweep = asyncio.create_task(stack.run())
    await stop.wait()
    sweep.cancel()
    with suppress(asyncio.CancelledError):
        await sweep
    await runner.cleanup()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    configure_logs("WARNING", "console")
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(serve(parser.parse_args().port))


if __name__ == "__main__":
    main()
