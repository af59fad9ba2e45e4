"""A paper as a page of HTML that loads nothing: style and picture stand in it, and its policy allows no other style."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import msgspec
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from waypost.platform.papers.model import Block, Paper

HERE = Path(__file__).absolute().parent
PLAIN_COLOUR = "#1f4e79"
_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")


@dataclass(frozen=True, slots=True)
class Page:
    """HTML, and the headers that it goes out with."""

    html: str
    headers: Mapping[str, str]


def page_of(paper: Paper) -> Page:
    """``paper`` as HTML."""
    style = f":root {{\n  --brand: {colour_of(paper)};\n}}\n\n{_style()}"
    # Our own file and a checked colour: nothing in it is anybody's input.
    markup = Markup(style)  # noqa: S704
    picture = base64.b64encode(paper.shop.picture).decode()  # a link could not be saved with the page
    template = _environment().get_template("paper.html")
    html = template.render(paper=paper, style=markup, kind_of=_kind_of, picture=picture)
    return Page(html, {"Content-Security-Policy": policy(style), "Referrer-Policy": "no-referrer",
                       "X-Content-Type-Options": "nosniff"})  # fmt: skip


def policy(style: str) -> str:
    """What the page may load and do: show itself in that style, and nothing else."""
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return "; ".join(
        [
            "default-src 'none'",
            f"style-src 'sha256-{digest}'",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
            "sandbox allow-modals",  # so that it can be printed
        ]
    )


def colour_of(paper: Paper) -> str:
    """The shop's, if it is one."""
    return paper.shop.colour if _COLOUR.fullmatch(paper.shop.colour) else PLAIN_COLOUR


def _kind_of(block: Block) -> str:
    return str(msgspec.inspect.type_info(type(block)).tag)  # type: ignore[attr-defined]  # a struct of the union has one


@lru_cache(maxsize=1)
def _style() -> str:
    return (HERE / "paper.css").read_text()


@lru_cache(maxsize=1)
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
