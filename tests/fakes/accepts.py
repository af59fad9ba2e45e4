"""What the fake provider has taken: noted, and on the disk, before it is answered. That list is the proof."""

from __future__ import annotations

import asyncio
import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Accepted:
    """A message that was taken. ``reference``: ours, the delivery's id; ``id``: its own; ``detail``: what its face
    adds.
    """

    face: str
    reference: str
    id: str
    to: str
    text: str
    detail: dict[str, str] = field(default_factory=dict)


class AcceptLog:
    """Appends a JSON object a line. Lines that come together reach the disk together."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path
        self.kept: list[Accepted] = []
        self._lines: list[str] = []
        self._written = 0
        self._writing = asyncio.Lock()

    async def add(self, accepted: Accepted) -> None:
        """Returns once it is on the disk."""
        self.kept.append(accepted)
        if self.path is None:
            return
        mine = len(self.kept)
        self._lines.append(json.dumps(asdict(accepted)) + "\n")
        async with self._writing:
            if self._written < mine:
                lines, self._lines = self._lines, []
                await asyncio.to_thread(_append, self.path, "".join(lines))
                self._written += len(lines)


def read(path: Path) -> list[Accepted]:
    """What was taken so far, by whichever process."""
    return [Accepted(**json.loads(line)) for line in path.read_text().splitlines()] if path.exists() else []


def _append(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
