"""A paper as PDF, by Typst: off the event loop, a few at a time."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec
import typst

from waypost.kernel.errors import Unavailable
from waypost.platform.papers.model import Paper
from waypost.platform.papers.page import HERE, colour_of

AT_ONCE, WAITING = 2, 50  # a page takes some milliseconds of one core
SOURCE = HERE / "paper.typ"
_LONG_WORD = re.compile(r"[^\s\u200b]{25,}")
_PIECE = re.compile(r".{8}")


class PressBusy(Unavailable):
    """Too many papers are being printed just now; try again in a moment."""

    code = "press-busy"
    retry = True


def pdf_of(paper: Paper, made_at: datetime) -> bytes:
    """Takes some milliseconds, without holding the interpreter's lock. Fonts are Typst's own: every machine prints the
    same.
    """
    shop = msgspec.structs.replace(paper.shop, colour=colour_of(paper), picture=b"")
    told = breakable(msgspec.to_builtins(msgspec.structs.replace(paper, shop=shop)))
    told["shop"]["picture"] = list(paper.shop.picture)  # numbers: Typst reads no base64
    text = msgspec.json.encode(told).decode()
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


Pictures = Callable[[str], Awaitable[bytes | None]]


async def no_pictures(_name: str) -> bytes | None:
    return None


@dataclass(slots=True)
class Press:
    """Prints ``AT_ONCE``; who comes when ``WAITING`` others wait is sent away with ``PressBusy``. ``pictures``: the PNG
    of a name.
    """

    make: Callable[[Paper, datetime], bytes] = pdf_of
    pictures: Pictures = no_pictures
    at_once: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))
    most: int = AT_ONCE + WAITING
    inside: int = 0

    async def illustrated(self, paper: Paper) -> Paper:
        """With its shop's picture, where that has one."""
        picture = await self.pictures(paper.shop.logo) if paper.shop.logo else None
        if picture is None:
            return paper
        return msgspec.structs.replace(paper, shop=msgspec.structs.replace(paper.shop, picture=picture))

    async def pdf(self, paper: Paper, made_at: datetime) -> bytes:
        """The same bytes for the same paper and time."""
        if self.inside >= self.most:
            raise PressBusy
        self.inside += 1
        try:
            async with self.at_once:
                return await asyncio.to_thread(self.make, paper, made_at)
        finally:
            self.inside -= 1


def breakable(value: Any) -> Any:
    """The same, with places in overlong words where a line may end: a code of a hundred letters stays in its column."""
    if isinstance(value, str):
        return _LONG_WORD.sub(lambda word: _PIECE.sub("\\g<0>\u200b", word[0]), value)
    if isinstance(value, dict):
        return {name: breakable(each) for name, each in value.items()}
    return [breakable(each) for each in value] if isinstance(value, list | tuple) else value
