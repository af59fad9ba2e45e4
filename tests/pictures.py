"""Pictures for tests, drawn here."""

from __future__ import annotations

from io import BytesIO
from typing import Any

from PIL import Image, ImageDraw


def drawn(width: int = 300, height: int = 90, ink: str = "#6a3d9a", ground: str | None = None) -> Image.Image:
    """A disc; without ``ground`` on nothing."""
    image = Image.new("RGBA", (width, height), ground or (0, 0, 0, 0))
    ImageDraw.Draw(image).ellipse((2, 2, height - 2, height - 2), fill=ink)
    return image


def encoded(image: Image.Image, form: str = "PNG", **options: Any) -> bytes:
    out = BytesIO()
    (image.convert("RGB") if form == "JPEG" else image).save(out, form, **options)
    return out.getvalue()


LOGO = encoded(drawn())
