"""A paper as an answer: HTML to look at, or a PDF to keep."""

from __future__ import annotations

from datetime import datetime

from aiohttp import web

from waypost.platform.papers.model import Paper
from waypost.platform.papers.page import page_of
from waypost.platform.papers.press import Press
from waypost.platform.routes import Cache

HTML, PDF = "text/html", "application/pdf"
NOT_KEPT = {"Cache-Control": Cache.NO_STORE.value}


async def answer_paper(press: Press, paper: Paper, wanted: str, name: str, made_at: datetime) -> web.Response:
    """``wanted``: "html" or "pdf"; ``name``: of the file without its suffix: letters, digits, hyphens."""
    headers = {**NOT_KEPT, "Content-Language": paper.language}
    if wanted == "html":
        page = page_of(paper)
        return web.Response(text=page.html, content_type=HTML, charset="utf-8", headers={**headers, **page.headers})
    headers |= {"Content-Disposition": f'inline; filename="{name}.pdf"', "X-Content-Type-Options": "nosniff"}
    return web.Response(body=await press.pdf(paper, made_at), content_type=PDF, headers=headers)
