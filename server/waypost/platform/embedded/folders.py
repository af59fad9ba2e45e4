"""The folders of a stack: made once, owned by who must own them, closed to everybody else."""

import errno
import os
import shutil
import stat
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from waypost.platform.embedded.account import Account, account_name, can_enter, closed_folder
from waypost.platform.embedded.errors import EmbeddedError

LONGEST_SOCKET_BYTES = 99
"""The kernel takes 107 bytes on Linux, 103 on macOS."""
LONGEST_SOCKET_NAME = ".s.PGSQL.65535"
LEAST_FREE_BYTES = 100 * 2**20
"""A new cluster takes about 40 MB; less than this much room is a full disk soon."""
ELSEWHERE = "choose another folder with --data DIR"


@dataclass(frozen=True, slots=True)
class Site:
    """Where one stack lives and as whom its servers run; they inherit ``lock_fd``."""

    data_dir: Path
    socket_dir: Path
    account: Account
    lock_fd: int


def explain(error: OSError, data_dir: Path) -> EmbeddedError:
    """The one line for a folder that cannot be used."""
    match error.errno:
        case errno.EROFS:
            return EmbeddedError(f"{data_dir} is on a read-only file system; {ELSEWHERE}")
        case errno.EACCES | errno.EPERM:
            return EmbeddedError(f"{account_name(os.geteuid())} may not write in {data_dir}; {ELSEWHERE}")
        case errno.ENOSPC | errno.EDQUOT:
            return EmbeddedError(f"no space left in {data_dir}; make room, or {ELSEWHERE}")
        case errno.ENOTDIR | errno.EEXIST:
            return EmbeddedError(f"{data_dir} is not a folder, or lies under a file; {ELSEWHERE}")
        case _:
            return EmbeddedError(f"cannot use {data_dir}: {error.strerror or error}; {ELSEWHERE}")


def prepare_data_dir(data_dir: Path, account: Account) -> None:
    """Make the data folder: the servers' account may pass through it (0711), nobody may read it.

    Folders above it that are there already keep their modes; one that the account may not enter is an EmbeddedError.
    """
    mode = 0o711 if account.other else 0o700
    missing = [folder for folder in (data_dir, *data_dir.parents) if not folder.exists()]
    for folder in reversed(missing):
        folder.mkdir()
        folder.chmod(mode)
    if not data_dir.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(data_dir))
    if account.other:
        _open_to(account, data_dir)


def _open_to(account: Account, data_dir: Path) -> None:
    if closed := closed_folder(account, data_dir):
        raise EmbeddedError(f"the servers' account {account.name} may not enter {closed}; {ELSEWHERE}")
    if data_dir.stat().st_mode & stat.S_IWOTH:
        raise EmbeddedError(f"anybody may write in {data_dir}, so root does not trust it; chmod o-w it, or {ELSEWHERE}")
    if not can_enter(account, data_dir):
        data_dir.chmod(0o711)


def require_room(data_dir: Path) -> None:
    """Refuse to begin a cluster that would fill the disk."""
    if (free := shutil.disk_usage(data_dir).free) < LEAST_FREE_BYTES:
        raise EmbeddedError(
            f"only {free // 2**20} MB are free in {data_dir}, {LEAST_FREE_BYTES // 2**20} MB are needed; "
            f"make room, or {ELSEWHERE}"
        )


def private_dir(folder: Path, account: Account) -> None:
    """Make ``folder`` the account's own (0700); one that belongs to somebody else is an EmbeddedError."""
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
        os.chown(folder, account.uid, account.gid, follow_symlinks=False)
    info = folder.lstat()
    if not stat.S_ISDIR(info.st_mode):
        raise EmbeddedError(f"{folder} should be a folder; move it away")
    if info.st_uid != account.uid:
        raise EmbeddedError(
            f"{folder} belongs to the account {account_name(info.st_uid)}, the servers would run as {account.name}; "
            "start as the same account as before"
        )
    folder.chmod(0o700)


def socket_dir(data_dir: Path, account: Account) -> Path:
    """The empty private folder for the sockets: ``data_dir/run``, or a short one that ``run`` is then a link to.

    Under the data folder's lock whatever lies in it is stale: nobody is left to answer.
    """
    run = data_dir / "run"
    folder = run if _is_short(run) else _short_dir(run, account)
    private_dir(folder, account)
    for stale in folder.iterdir():
        stale.unlink()
    return folder


def forget_socket_dir(data_dir: Path) -> None:
    """Remove the short folder, if there is one, and the link to it."""
    run = data_dir / "run"
    if run.is_symlink():
        with suppress(OSError):
            shutil.rmtree(run.readlink())
        run.unlink()


def _is_short(folder: Path) -> bool:
    return len(os.fsencode(folder / LONGEST_SOCKET_NAME)) <= LONGEST_SOCKET_BYTES


def _short_dir(run: Path, account: Account) -> Path:
    """The one that a killed run left, if it is still the account's, else a new one in the system's temporary folder."""
    if run.is_symlink():
        with suppress(OSError):
            info = (target := run.readlink()).lstat()
            if stat.S_ISDIR(info.st_mode) and info.st_uid == account.uid and _is_short(target):
                return target
        run.unlink()
    for base in (tempfile.gettempdir(), "/tmp"):  # noqa: S108 - mkdtemp picks an unused name, 0700
        folder = Path(tempfile.mkdtemp(prefix="waypost-", dir=base))
        if _is_short(folder) and closed_folder(account, folder) is None:
            os.chown(folder, account.uid, account.gid)
            run.symlink_to(folder)
            return folder
        folder.rmdir()
    raise EmbeddedError(f"{run.parent} is too long a path for a Unix socket; {ELSEWHERE}")


def write_private(file: Path, text: str, account: Account) -> None:
    """Write a file that only ``account`` can read (0600), in place of the one that was there."""
    file.unlink(missing_ok=True)
    fd = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(fd, "w", encoding="utf-8", errors="surrogateescape") as opened:
        os.fchown(fd, account.uid, account.gid)
        opened.write(text)
