"""The embedded servers, for real: made, started, killed, refused."""

import asyncio
import fcntl
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from signal import SIGKILL

import asyncpg
import pytest
import pytest_asyncio
import redis.asyncio

from waypost.platform.embedded import EmbeddedError, EmbeddedStack, provision
from waypost.platform.embedded.account import resolve_account
from waypost.platform.embedded.binaries import find_postgres, find_valkey
from waypost.platform.embedded.copies import reachable
from waypost.platform.embedded.leftovers import is_alive
from waypost.platform.embedded.roles import provision_database, provision_roles, provision_schema, quoted

DEADLINE_S = 20.0
SERVER = Path(__file__).resolve().parents[2] / "server"
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's death")

PARENT = """
import asyncio, concurrent.futures.thread, encodings.idna, os, sys  # while we may still read root's Python
from pathlib import Path
from waypost.platform.embedded import EmbeddedError, EmbeddedStack, provision, spawn

async def main() -> None:
    try:
        stack = await EmbeddedStack(Path(sys.argv[1])).start()
    except EmbeddedError as error:
        return print("refused:", error, flush=True)
    await provision(stack.postgres)
    print(stack.postgres.pid, stack.valkey.pid, stack.postgres.superuser_dsn(), stack.redis_url(), flush=True)
    await asyncio.Event().wait()

if sys.argv[2:] == ["orphans"]:  # as on macOS: nobody tells the servers that we died
    spawn._libc = None
elif sys.argv[2:]:
    os.setgroups([])
    os.setgid(int(sys.argv[2]))
    os.setuid(int(sys.argv[2]))
asyncio.run(main())
"""


@pytest_asyncio.fixture
async def folder() -> AsyncIterator[Path]:
    """A folder that the servers' account may pass through: pytest's own is root's alone."""
    made = tempfile.mkdtemp(prefix="wp-", dir="/tmp")
    os.chmod(made, 0o711)  # noqa: PTH101, S103 - a new folder, to be passed through
    yield Path(made)
    await until(lambda: is_free(Path(made, "data", "lock")))
    shutil.rmtree(made)


def is_free(lock: Path) -> bool:
    """Whether the servers of a killed parent have gone."""
    if not lock.exists():
        return True
    with lock.open() as file:
        with suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        return False


async def until(holds: Callable[[], object]) -> None:
    """Poll: what happens in another process wakes nothing here."""
    async with asyncio.timeout(DEADLINE_S):
        while not holds():  # noqa: ASYNC110 - see above
            await asyncio.sleep(0.01)


@asynccontextmanager
async def parent(data_dir: Path, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Another process that runs a stack on ``data_dir``; killed at the end."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(SERVER), *sys.path]), "HOME": str(data_dir.parent)}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", PARENT, str(data_dir), *arguments), stdout=subprocess.PIPE, env=environment
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def says(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    return (await asyncio.wait_for(process.stdout.readline(), DEADLINE_S)).decode().strip()


async def write_row(dsn: str, text: str) -> None:
    conn = await asyncpg.connect(dsn)
    await conn.execute("CREATE TABLE IF NOT EXISTS kept (text text)")
    await conn.execute("INSERT INTO kept VALUES ($1)", text)
    await conn.close()


async def read_rows(dsn: str) -> list[str]:
    conn = await asyncpg.connect(dsn)
    rows = await conn.fetch("SELECT text FROM kept ORDER BY 1")
    await conn.close()
    return [row["text"] for row in rows]


async def value_of(url: str, key: str) -> object:
    client = redis.asyncio.Redis.from_url(url)
    value = await client.get(key)
    await client.aclose()
    return value


async def set_value(url: str, key: str, value: str) -> None:
    client = redis.asyncio.Redis.from_url(url)
    await client.set(key, value)
    await client.aclose()


async def test_what_was_written_is_there_after_a_stop_and_a_warm_start(folder: Path) -> None:
    stack = EmbeddedStack(folder / "data")
    async with stack:
        assert {"initdb", "postgres", "valkey", "start"} <= stack.timings.keys()
        await write_row(stack.postgres.superuser_dsn(), "a row")
        await set_value(stack.redis_url(), "key", "a value")
    warm = EmbeddedStack(folder / "data")
    async with warm:
        assert await read_rows(warm.postgres.superuser_dsn()) == ["a row"]
        assert await value_of(warm.redis_url(), "key") == b"a value"
        assert "initdb" not in warm.timings


async def test_one_stack_can_be_stopped_twice_and_started_again(folder: Path) -> None:
    stack = EmbeddedStack(folder / "data", durable=False)
    await stack.stop()
    for _ in range(2):
        await stack.start()
        first = (stack.postgres.pid, stack.valkey.pid)
        await stack.start()
        assert (stack.postgres.pid, stack.valkey.pid) == first
        await stack.stop()
        await stack.stop()
        assert not any(is_alive(pid) for pid in first if pid)


async def test_only_what_was_asked_for_runs(folder: Path) -> None:
    async with EmbeddedStack(folder / "data", postgres=False) as stack:
        assert stack.valkey.alive
        with pytest.raises(EmbeddedError, match="PostgreSQL has not been started"):
            stack.database_dsn()


async def test_nothing_in_the_data_folder_is_open_to_others(folder: Path) -> None:
    async with EmbeddedStack(folder / "data", durable=False) as stack:
        modes = {path.name: path.lstat().st_mode & 0o777 for path in stack.data_dir.iterdir()}
        assert stack.data_dir.stat().st_mode & 0o777 == (0o711 if os.geteuid() == 0 else 0o700)
    assert {mode & 0o077 for name, mode in modes.items() if name != "programs"} == {0}
    assert "initdb.password" not in modes


async def test_roles_are_as_the_design_says_and_provisioning_may_be_repeated(folder: Path) -> None:
    async with EmbeddedStack(folder / "data", durable=False, valkey=False) as stack:
        await provision(stack.postgres)
        await provision(stack.postgres)
        conn = await stack.postgres.connect("waypost")
        rows = await conn.fetch(
            "SELECT rolname, rolcanlogin, rolbypassrls, rolinherit, rolsuper OR rolcreaterole OR rolcreatedb AS power "
            "FROM pg_roles WHERE rolname LIKE 'waypost%' ORDER BY 1"
        )
        owners = await conn.fetchrow(
            "SELECT (SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'waypost') AS database, "
            "(SELECT pg_get_userbyid(nspowner) FROM pg_namespace WHERE nspname = 'public') AS schema"
        )
        members = await conn.fetch(
            "SELECT pg_get_userbyid(roleid) AS role, inherit_option, set_option, admin_option FROM pg_auth_members "
            "WHERE pg_get_userbyid(member) = 'waypost' ORDER BY 1"
        )
        await conn.close()
    assert [tuple(row) for row in rows] == [
        ("waypost", True, False, False, False),
        ("waypost_app", False, False, True, False),
        ("waypost_owner", True, False, True, False),
        ("waypost_system", False, True, True, False),
    ]
    assert owners is not None
    assert set(owners.values()) == {"waypost_owner"}
    assert [tuple(row) for row in members] == [
        ("waypost_app", False, True, False),
        ("waypost_system", False, True, False),
    ]


async def test_the_login_role_has_no_right_of_its_own_and_takes_one_of_two(folder: Path) -> None:
    async with EmbeddedStack(folder / "data", durable=False, valkey=False) as stack:
        await provision(stack.postgres)
        owner = await asyncpg.connect(stack.database_dsn("waypost_owner"))
        await owner.execute(
            "CREATE TABLE t (org int); ALTER TABLE t ENABLE ROW LEVEL SECURITY; INSERT INTO t VALUES (1)"
        )
        superuser = await stack.postgres.connect()
        await superuser.execute("CREATE ROLE stranger LOGIN")
        await superuser.close()
        await owner.execute("GRANT SELECT ON t TO waypost_app, waypost_system")
        conn = await asyncpg.connect(stack.database_dsn())
        for refused in ("SELECT * FROM t", "CREATE TABLE u ()", "SET ROLE waypost_owner", "SET ROLE postgres"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await conn.execute(refused)
        counts = []
        for role in ("waypost_app", "waypost_system"):
            await conn.execute(f"SET ROLE {role}")
            counts.append(await conn.fetchval("SELECT count(*) FROM t"))
        await conn.close()
        await owner.close()
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await asyncpg.connect(stack.database_dsn("stranger"))
    assert counts == [0, 1]


async def test_names_of_roles_and_databases_are_quoted(folder: Path) -> None:
    database, login, owner = 'da"ta; base', "log in'", 'own"er'
    async with EmbeddedStack(folder / "data", durable=False, valkey=False) as stack:
        conn = await stack.postgres.connect()
        await provision_roles(conn, login=login, owner=owner, login_password="it's \\ secret")
        await provision_database(conn, database, login=login, owner=owner)
        await conn.close()
        inside = await stack.postgres.connect(database)
        await provision_schema(inside, owner=owner)
        await inside.close()
        own = await asyncpg.connect(stack.postgres.dsn(login, None, database))
        assert await own.fetchval("SELECT current_database()") == database
        await own.close()


@pytest.mark.parametrize("name", ["", "a\0b", "ä" * 32])
def test_a_name_that_postgresql_would_cut_or_refuse_is_an_error(name: str) -> None:
    with pytest.raises(ValueError, match="not a name"):
        quoted(name)


async def test_dbmate_takes_the_address_that_asyncpg_takes(folder: Path) -> None:
    dbmate = Path(sys.executable).with_name("dbmate")
    if not dbmate.exists():
        pytest.skip("dbmate is not installed here")
    async with EmbeddedStack(folder / "da ta&é", durable=False, valkey=False) as stack:
        await provision(stack.postgres)
        (folder / "0001_t.sql").write_text("-- migrate:up\nCREATE TABLE made_by_dbmate ();\n-- migrate:down\n")
        run = await asyncio.create_subprocess_exec(
            *(dbmate, "--no-dump-schema", "--migrations-dir", folder, "migrate"),
            cwd=folder,
            env={"DATABASE_URL": stack.database_dsn("waypost_owner")},
            stdout=subprocess.DEVNULL,
        )
        assert await run.wait() == 0
        conn = await asyncpg.connect(stack.database_dsn("waypost_owner"))
        assert (
            await conn.fetchval("SELECT tableowner FROM pg_tables WHERE tablename = 'made_by_dbmate'")
            == "waypost_owner"
        )
        await conn.close()


async def test_over_tcp_both_servers_ask_for_the_password(folder: Path) -> None:
    async with EmbeddedStack(folder / "data", durable=False, postgres_port=0, valkey_port=0) as stack:
        conn = await stack.postgres.connect()
        await provision_roles(conn, login_password="right")
        await conn.close()
        own = await asyncpg.connect(stack.postgres.dsn("waypost", "right", "postgres"))
        assert await own.fetchval("SELECT inet_server_addr()::text") == "127.0.0.1/32"
        await own.close()
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(stack.postgres.dsn("waypost", "wrong", "postgres"))
        await set_value(stack.redis_url(), "key", "value")
        with pytest.raises(redis.exceptions.AuthenticationError):
            await value_of(f"redis://127.0.0.1:{stack.valkey.tcp_port}", "key")


@on_linux
async def test_both_servers_end_with_a_killed_parent_and_the_next_start_has_the_committed_row(folder: Path) -> None:
    async with parent(folder / "data") as process:
        postgres, valkey, dsn, url = (await says(process)).split()
        await write_row(dsn, "committed")
        await set_value(url, "key", "written")
        process.kill()
        async with asyncio.timeout(5):
            await until(lambda: not is_alive(int(postgres)) and not is_alive(int(valkey)))
    async with EmbeddedStack(folder / "data") as stack:
        assert await read_rows(stack.postgres.superuser_dsn()) == ["committed"]
        assert await value_of(stack.redis_url(), "key") == b"written"


async def test_a_start_at_once_after_a_killed_parent_outwaits_the_old_servers(folder: Path) -> None:
    for _ in range(3):
        async with parent(folder / "data") as process:
            _, _, dsn, _ = (await says(process)).split()
            await write_row(dsn, "row")
            process.kill()
    async with EmbeddedStack(folder / "data") as stack:
        assert await read_rows(stack.postgres.superuser_dsn()) == ["row"] * 3


async def test_servers_that_outlived_their_parent_are_ended_by_the_next_start(folder: Path) -> None:
    async with parent(folder / "data", "orphans") as process:
        postgres, valkey, dsn, url = (await says(process)).split()
        await write_row(dsn, "committed")
        await set_value(url, "key", "written")
        process.kill()
        await process.wait()
    assert is_alive(int(postgres))
    assert is_alive(int(valkey))
    async with EmbeddedStack(folder / "data") as stack:
        assert not is_alive(int(postgres))
        assert not is_alive(int(valkey))
        assert await read_rows(stack.postgres.superuser_dsn()) == ["committed"]
        assert await value_of(stack.redis_url(), "key") == b"written"


async def test_a_start_that_was_killed_while_it_made_the_cluster_can_be_repeated(folder: Path) -> None:
    data_dir = folder / "data"
    async with parent(data_dir) as process:
        await until((data_dir / "postgres.new" / "base").exists)
        process.kill()
    assert not (data_dir / "postgres").exists()
    async with EmbeddedStack(data_dir, durable=False) as stack:
        await write_row(stack.postgres.superuser_dsn(), "row")
    assert not (data_dir / "postgres.new").exists()


async def test_a_second_start_on_the_same_data_is_refused_with_the_process_id(folder: Path) -> None:
    async with EmbeddedStack(folder / "data", durable=False) as stack:
        words = f"already running (process {os.getpid()}) on {stack.data_dir}; stop it, or choose another folder"
        async with parent(folder / "data") as process:
            assert (await says(process)).startswith(f"refused: {words}")
        with pytest.raises(EmbeddedError) as caught:
            await EmbeddedStack(folder / "data").start()
        assert str(caught.value) == words + " with --data DIR"
        assert stack.postgres.alive


async def test_after_a_killed_postmaster_start_brings_it_back(folder: Path) -> None:
    async with EmbeddedStack(folder / "data") as stack:
        await write_row(stack.postgres.superuser_dsn(), "row")
        busy = await stack.postgres.connect()  # a backend that outlives its postmaster for a moment
        valkey = stack.valkey.pid
        os.kill(stack.postgres.pid or 0, SIGKILL)
        error = await asyncio.wait_for(stack.failed(), DEADLINE_S)
        assert str(error).startswith("PostgreSQL ended by itself")
        await stack.start()
        assert await read_rows(stack.postgres.superuser_dsn()) == ["row"]
        assert stack.valkey.pid == valkey
        busy.terminate()


async def test_a_stale_pid_file_that_names_an_unrelated_process_is_no_obstacle(folder: Path) -> None:
    account = resolve_account()
    async with EmbeddedStack(folder / "data", valkey=False) as stack:
        await write_row(stack.postgres.superuser_dsn(), "row")
        pid_file = stack.postgres.pgdata / "postmaster.pid"
        old = pid_file.read_text().splitlines()
    stranger = await asyncio.create_subprocess_exec("sleep", "60", user=account.uid if account.other else None)
    try:
        pid_file.write_text("\n".join([str(stranger.pid), *old[1:]]) + "\n")
        os.chown(pid_file, account.uid, account.gid)
        async with EmbeddedStack(folder / "data", valkey=False) as stack:
            assert await read_rows(stack.postgres.superuser_dsn()) == ["row"]
        assert is_alive(stranger.pid)
    finally:
        stranger.kill()
        await stranger.wait()


async def test_data_of_another_major_version_is_refused_and_not_touched(folder: Path) -> None:
    async with EmbeddedStack(folder / "data", durable=False, valkey=False) as stack:
        pgdata = stack.postgres.pgdata
    (pgdata / "PG_VERSION").write_text("15\n")
    before = {path: path.stat().st_mtime_ns for path in pgdata.rglob("*")}
    with pytest.raises(EmbeddedError, match=r"was made by PostgreSQL 15.*`waypost doctor`"):
        await EmbeddedStack(folder / "data", valkey=False).start()
    assert {path: path.stat().st_mtime_ns for path in pgdata.rglob("*")} == before


@pytest.mark.parametrize("under", ["", "deeper"])
async def test_a_file_in_place_of_the_data_folder_is_one_clear_line(folder: Path, under: str) -> None:
    (folder / "data").write_text("")
    with pytest.raises(EmbeddedError, match=r"^.*is not a folder, or lies under a file; choose another .*--data DIR$"):
        await EmbeddedStack(folder / "data" / under).start()


@as_root
async def test_a_folder_that_an_ordinary_user_may_not_write_is_one_clear_line(folder: Path) -> None:
    async with parent(folder / "data", str(pwd.getpwnam("nobody").pw_uid)) as process:
        assert await says(process) == (
            f"refused: nobody may not write in {folder}/data; choose another folder with --data DIR"
        )


@as_root
async def test_it_runs_as_an_ordinary_user_too(folder: Path) -> None:
    nobody = pwd.getpwnam("nobody")
    if not resolve_account().other or not os.access(find_valkey().server, os.X_OK):
        pytest.skip("the programs lie where only root can read them")
    os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    async with parent(folder / "data", str(nobody.pw_uid)) as process:
        postgres, _, dsn, _ = (await says(process)).split()
        await write_row(dsn, "row")
        assert os.stat(f"/proc/{postgres}").st_uid == nobody.pw_uid  # noqa: PTH116 - /proc does not block
        assert (folder / "data").stat().st_mode & 0o777 == 0o700


@as_root
async def test_a_folder_above_that_the_account_may_not_enter_is_named_and_left_closed(folder: Path) -> None:
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(EmbeddedError, match=f"account nobody may not enter {closed};"):
        await EmbeddedStack(closed / "data").start()
    assert closed.stat().st_mode & 0o777 == 0o700


@as_root
async def test_programs_under_a_closed_folder_are_copied_and_run_from_the_copy(folder: Path) -> None:
    found, closed = find_postgres(), folder / "closed"
    if found.package is None:
        pytest.skip("PostgreSQL is the system's here")
    closed.mkdir(mode=0o700)
    for tree in (found.package, found.package.with_name(f"{found.package.name}.libs")):
        shutil.copytree(tree, closed / tree.name, symlinks=True)
    package = closed / found.package.name
    hidden = replace(found, server=package / found.server.relative_to(found.package), package=package)
    copied = reachable(hidden, resolve_account(), folder / "programs")
    async with EmbeddedStack(folder / "data", durable=False, valkey=False, postgres_bin=copied.server.parent) as stack:
        await write_row(stack.postgres.superuser_dsn(), "row")
    assert closed.stat().st_mode & 0o777 == 0o700


async def test_a_long_data_folder_gets_a_short_private_folder_for_its_sockets(folder: Path) -> None:
    data_dir = folder / ("long" * 20) / "data"
    async with EmbeddedStack(data_dir, durable=False) as stack:
        sockets = stack.postgres.site.socket_dir
        assert (data_dir / "run").resolve() == sockets.resolve()
        assert sockets.stat().st_mode & 0o777 == 0o700
        await write_row(stack.postgres.superuser_dsn(), "row")
        await set_value(stack.redis_url(), "key", "value")
    assert not sockets.exists()


async def test_a_server_that_cannot_start_is_one_line_with_its_cause_and_frees_the_folder(folder: Path) -> None:
    async with EmbeddedStack(folder / "data", durable=False) as stack:
        config = stack.postgres.pgdata / "postgresql.conf"
    good = config.read_text()
    config.write_text(good + "no_such_setting = 1\n")
    with pytest.raises(EmbeddedError) as caught:
        await stack.start()
    assert "PostgreSQL did not start" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "no_such_setting" in caught.value.log_tail
    config.write_text(good)
    async with stack:
        assert stack.valkey.alive


async def test_a_start_from_another_thread_is_refused(folder: Path) -> None:
    errors: list[BaseException] = []

    def run() -> None:
        try:
            asyncio.run(EmbeddedStack(folder / "data").start())
        except EmbeddedError as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    await asyncio.to_thread(thread.join, DEADLINE_S)
    assert ["main thread" in str(error) for error in errors] == [sys.platform == "linux"]


async def test_a_cancelled_start_leaves_nothing_running(folder: Path) -> None:
    starting = asyncio.create_task(EmbeddedStack(folder / "data").start())
    await until((folder / "data" / "postgres.new" / "base").exists)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    async with EmbeddedStack(folder / "data", durable=False) as stack:
        assert stack.postgres.alive
