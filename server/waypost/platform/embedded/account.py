"""As whom the servers run, what that account may reach, and where the data lies by default."""

import os
import pwd
import stat
import sys
from dataclasses import dataclass
from pathlib import Path

from waypost.platform.embedded.errors import EmbeddedError

DEFAULT_ACCOUNT = "nobody"


@dataclass(frozen=True, slots=True)
class Account:
    """Whom the servers run as; ``other`` is True when we are root and they are not."""

    name: str
    uid: int
    gid: int
    other: bool


def resolve_account(name: str | None = None) -> Account:
    """The account for the servers: ``name`` or nobody when we are root, else ourselves.

    PostgreSQL refuses uid 0, and its initdb refuses a user id without an entry in the account database.
    """
    if os.geteuid() != 0:
        return _ourselves(name)
    wanted = name or DEFAULT_ACCOUNT
    try:
        entry = pwd.getpwnam(wanted)
    except KeyError:
        raise EmbeddedError(
            f"there is no account {wanted!r} to run the servers as; create it or name another"
        ) from None
    if entry.pw_uid == 0:
        raise EmbeddedError("PostgreSQL refuses to run as root; name an ordinary account for the servers")
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid, other=True)


def _ourselves(name: str | None) -> Account:
    try:
        entry = pwd.getpwuid(os.geteuid())
    except KeyError:
        raise EmbeddedError(
            f"user id {os.geteuid()} has no account entry, which PostgreSQL's initdb needs; "
            "add one to /etc/passwd, or set WAYPOST_DATABASE_URL"
        ) from None
    if name is not None and name != entry.pw_name:
        raise EmbeddedError(f"only root can run the servers as {name!r}; start as that account, or name none")
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid, other=False)


def account_name(uid: int) -> str:
    """The name of ``uid``, or the number itself where it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def default_data_dir() -> Path:
    """Where the data lies when nobody says: the system's place for root, the user's own otherwise."""
    if os.geteuid() == 0:
        return Path("/var/lib/waypost")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "Waypost"
    base = os.environ.get("XDG_DATA_HOME", "")
    return (Path(base) if Path(base).is_absolute() else Path.home() / ".local" / "share") / "waypost"


def closed_folder(account: Account, path: Path) -> Path | None:
    """The first folder on the way to ``path`` that the account may not enter; None when the way is open."""
    folders = reversed(path.resolve().parents)
    return next((folder for folder in folders if not _may(account, folder, os.X_OK)), None)


def can_run(account: Account, program: Path) -> bool:
    """Whether the account may read and execute ``program``, every folder above it included."""
    return closed_folder(account, program) is None and _may(account, program.resolve(), os.R_OK | os.X_OK)


def can_enter(account: Account, folder: Path) -> bool:
    """Whether the account may enter ``folder`` itself; the way to it is ``closed_folder``'s matter."""
    return _may(account, folder, os.X_OK)


def _may(account: Account, path: Path, need: int) -> bool:
    """By the mode bits alone: what an access list grants beyond them is not seen, and costs a copy."""
    if not account.other:
        return os.access(path, need)
    info = path.stat()
    shift = 6 if info.st_uid == account.uid else 3 if info.st_gid == account.gid else 0
    return (stat.S_IMODE(info.st_mode) >> shift) & need == need
