"""A PgBouncer in transaction mode between the product and PostgreSQL, for the run of the suite that asks for one."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from waypost.platform.embedded.account import resolve_account

SERVER_CONNECTIONS = 12  # fewer than our own pools open: sessions are shared, or nothing works
READY_S = 10.0
CONFIG = """
[databases]
* = host={host} port={port} user=waypost
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {listen}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = {connections}
max_client_conn = 1000
server_idle_timeout = 5
query_wait_timeout = 20
server_login_retry = 0.1
logfile = {folder}/pgbouncer.log
"""


def find_pgbouncer() -> str | None:
    """The program; Debian keeps it where only root looks."""
    return shutil.which("pgbouncer", path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"]))


@contextmanager
def running_pooler(host: str, port: int, folder: Path) -> Iterator[int]:
    """The port that it listens on. Skips with a word where there is no PgBouncer."""
    program = find_pgbouncer()
    if program is None:
        pytest.skip("no pgbouncer here: the suite's run through one is left out (Debian: apt-get install pgbouncer)")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        listen = int(probe.getsockname()[1])
    folder.mkdir()
    config = folder / "pgbouncer.ini"
    config.write_text(CONFIG.format(host=host, port=port, listen=listen, connections=SERVER_CONNECTIONS, folder=folder))
    account = resolve_account()
    if account.other:
        shutil.chown(folder, account.uid, account.gid)
    process = subprocess.Popen(
        [program, "-q", str(config)],
        user=account.uid if account.other else None,
        group=account.gid if account.other else None,
    )
    try:
        _wait(listen, process)
        yield listen
    finally:
        process.terminate()
        process.wait(10)


def _wait(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline:
        assert process.poll() is None, f"pgbouncer ended with status {process.returncode}"
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise AssertionError("pgbouncer does not listen")
