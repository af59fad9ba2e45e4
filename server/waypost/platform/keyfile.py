"""Files that only their owner reads: the signing key of an installation, the logins of its demo."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

KEY_BYTES = 32


def new_secret() -> str:
    """Something that nobody guesses."""
    return secrets.token_hex(KEY_BYTES)


def ensure(path: Path, make: Callable[[], str]) -> Path:
    """Make the key file (0600) unless it is there. Whole or not at all, also when two starts race."""
    if not path.exists():
        draft = _draft(path, make().encode())
        try:
            with suppress(FileExistsError):
                os.link(draft, path)
        finally:
            draft.unlink(missing_ok=True)
    return path


def write_private(path: Path, content: bytes) -> None:
    """Put a file in place, whole or not at all, for its owner's eyes (0600)."""
    _draft(path, content).replace(path)


def _draft(path: Path, content: bytes) -> Path:
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return draft
