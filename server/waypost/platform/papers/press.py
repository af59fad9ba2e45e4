"""A paper as PDF, by Typst: off the event loop, a few at a time."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import datetime

import msgspec
import typst

from waypost.kernel.errors import Unavailable
from waypost.platform.papers.model import Paper
from waypost.platform.papers.page import HERE, colour_of

AT_ONCE, WAITING = 2, 50  # a page takes some milliseconds of one core
SOURCE = HERE / "paper.typ"


class PressBusy(Unavailable):
    """Too many papers are being printed just now; try again in a moment."""

    code = "press-busy"
    retry = True


@dataclass(slots=True)
class Press:
    """Prints ``AT_ONCE``; who comes when ``WAITING`` others wait is sent away with ``PressBusy``."""

    at_once: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))
    most: int = AT_ONCE + WAITING
    inside: int = 0

    async def pdf(self, paper: Paper, made_at: datetime) -> bytes:
        """The same bytes for the same paper and time."""
        if self.inside >= self.most:
            raise PressBusy
        self.inside += 1
        try:
            async with self.at_once:
                return await asyncio.to_thread(pdf_of, paper, made_at)
        finally:
            self.inside -= 1


def pdf_of(paper: Paper, made_at: datetime) -> bytes:
    """Takes some milliseconds, without holding the interpreter's lock. Fonts are Typst's own: every machine prints the
    same.
    """
    shop = msgspec.structs.replace(paper.shop, colour=colour_of(paper))
    text = msgspec.json.encode(msgspec.structs.replace(paper, shop=shop)).decode()
    printed = typst.compile(
        SOURCE,
        root=HERE,
        format="pdf",
        sys_inputs={"paper": text},
        ignore_system_fonts=True,
        timestamp=int(made_at.timestamp()),
    )
    if not isinstance(printed, bytes):  # a mistake of ours: a PDF is one file
        raise TypeError(type(printed))
    return printed
