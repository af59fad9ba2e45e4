"""The peer: the yardstick's server in Node, on the same PostgreSQL (a database of its own) and the same Valkey."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from loadtest.errors import LoadtestError
from loadtest.machine import ROOT
from loadtest.stand import Stand, free_port, ready

FOLDER = ROOT / "build" / "loadtest" / "peer"  # git-ignored: packages are fetched once
PACKAGES = ("express", "socket.io", "@socket.io/redis-adapter", "redis", "pg", "zod", "jsonwebtoken")
DATABASE = "peer"
SECRET = "the peer's own"  # noqa: S105 - it ends with the run


@dataclass(frozen=True, slots=True)
class Peer:
    """A running one."""

    url: str
    pid: int
    token: str


def why_not(yardstick: Path | None) -> str | None:
    """What is missing to run it; None when nothing is."""
    if yardstick is None or not _program(yardstick).is_file():
        return "the yardsticks are not here: name their folder with --yardstick"
    missing = [name for name in ("node", "npm") if shutil.which(name) is None]
    return f"{' and '.join(missing)} not on PATH: install Node.js 20 or newer" if missing else None


def _program(yardstick: Path) -> Path:
    return yardstick / "peer_node" / "server.mjs"


@asynccontextmanager
async def running(stand: Stand, yardstick: Path) -> AsyncIterator[Peer]:
    """Installed, started, answering; ended at the end."""
    await _install(yardstick)
    async with stand.superuser("postgres") as conn:
        if not await conn.fetchval("SELECT true FROM pg_database WHERE datname = $1", DATABASE):
            await conn.execute(f"CREATE ROLE {DATABASE} LOGIN")
            await conn.execute(f"CREATE DATABASE {DATABASE} OWNER {DATABASE}")
    port = free_port()
    environment = {
        "PORT": str(port),
        "PG": stand.stack.database_dsn(user=DATABASE, database=DATABASE).replace(
            "postgres://peer@/", "postgres://peer@localhost/"
        ),
        "REDIS": stand.stack.redis_url(),
        "SECRET": SECRET,
        "NODE_ENV": "production",
    }
    process = await asyncio.create_subprocess_exec(
        "node", "server.mjs", cwd=FOLDER, env={**os.environ, **environment}, stdout=asyncio.subprocess.DEVNULL
    )
    try:
        url = f"http://127.0.0.1:{port}"
        await ready(f"{url}/socket.io/?EIO=4&transport=polling", process)
        yield Peer(url, process.pid, _token())
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _install(yardstick: Path) -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(_program(yardstick), FOLDER / "server.mjs")
    if all((FOLDER / "node_modules" / name).is_dir() for name in PACKAGES):
        return
    print(f"fetching the peer's packages into {FOLDER}", flush=True)
    npm = await asyncio.create_subprocess_exec(
        "npm", "install", "--no-audit", "--no-fund", "--silent", *PACKAGES, cwd=FOLDER,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    out, _ = await npm.communicate()
    if npm.returncode != 0:
        last = (out.decode(errors="replace").strip().splitlines() or ["no word"])[-1]
        raise LoadtestError(f"npm could not fetch the peer's packages: {last}")


def _token() -> str:
    """What its users send: a JSON web token, signed with HMAC-SHA-256."""
    signed = b".".join(
        _base64(json.dumps(part).encode()) for part in ({"alg": "HS256", "typ": "JWT"}, {"sub": "driver"})
    )
    return b".".join((signed, _base64(hmac.digest(SECRET.encode(), signed, hashlib.sha256)))).decode()


def _base64(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")
