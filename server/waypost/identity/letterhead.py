"""An organisation as it stands at the head of its papers."""

from __future__ import annotations

from collections.abc import Callable

from waypost.identity.domain import Selling
from waypost.platform.papers.model import Shop


def letterhead(org_name: str, selling: Selling, say: Callable[..., str]) -> Shop:
    """``say``: the paper's words for "telephone" and "tax_number", each with a ``value``."""
    lines = [line.strip() for line in (selling.shop_address or "").splitlines() if line.strip()]
    if selling.shop_phone:
        lines.append(say("telephone", value=selling.shop_phone))
    if selling.shop_email:
        lines.append(selling.shop_email)
    if selling.shop_tax_number:
        lines.append(say("tax_number", value=selling.shop_tax_number))
    logo = selling.logo.key if selling.logo is not None else ""
    return Shop(selling.shop_name or org_name, lines, selling.colour, selling.footer or "", logo)
