"""A paper as an answer: HTML to look at, or a PDF to keep."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Literal

import msgspec
from aiohttp import web
from msgspec import Meta

from waypost.platform.papers.model import Paper
from waypost.platform.papers.page import page_of
from waypost.platform.papers.press import Press
from waypost.platform.routes import Cache

HTML, PDF = "text/html", "application/pdf"
NOT_KEPT = {"Cache-Control": Cache.NO_STORE.value}
Language = Annotated[str, Meta(max_length=35, pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*\Z")]


class PaperQuery(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """In what form and language. ``lang``: a BCP 47 tag; left out: that of whom it is for."""

    format: Literal["html", "pdf"] = "html"
    lang: Language | None = None


async def answer_paper(press: Press, paper: Paper, wanted: str, name: str, made_at: datetime) -> web.Response:
    """``wanted``: "html" or "pdf"; ``name``: of the file without its suffix: letters, digits, hyphens."""
    paper = await press.illustrated(paper)
    headers = {**NOT_KEPT, "Content-Language": paper.language}
    if wanted == "html":
        page = page_of(paper)
        return web.Response(text=page.html, content_type=HTML, charset="utf-8", headers={**headers, **page.headers})
    headers |= {"Content-Disposition": f'inline; filename="{name}.pdf"', "X-Content-Type-Options": "nosniff"}
    return web.Response(body=await press.pdf(paper, made_at), content_type=PDF, headers=headers)


def file_name(what: str, number: str) -> str:
    """What every file system takes."""
    return "-".join(part for part in (what, re.sub(r"[^A-Za-z0-9]+", "-", number).strip("-")[:60]) if part)
