"""A picture from outside, made anew: what is kept are its pixels, as a PNG of ours, and nothing else of what came."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from typing import Final

from PIL import Image, ImageOps

from waypost.kernel.errors import Invalid

FORMATS: Final = ("PNG", "JPEG", "WEBP")
MOST_SIDE, MOST_PIXELS = 6000, 16_000_000  # of what comes: in memory four bytes each
Image.MAX_IMAGE_PIXELS = None  # ours is asked before anything is decoded, and warns nobody
MOST_SCANS, SCAN = 100, b"\xff\xda"  # of a JPEG: each walks over all its pixels, and its own bytes may be few
FLAT: Final = 24  # of 255: a picture with less between its darkest and its lightest shows nothing


class PictureUnreadable(Invalid):
    """That is no PNG, JPEG or WebP that can be read, is too large (16 megapixels, 6000 to a side), or moves."""

    code = "picture-unreadable"


class PictureUnseen(Invalid):
    """On white this picture cannot be seen: give one that is made for a light background."""

    code = "picture-unseen"


@dataclass(frozen=True, slots=True)
class Picture:
    """A PNG without transparency, on white."""

    png: bytes
    width: int
    height: int


def picture_of(data: bytes, box: tuple[int, int]) -> Picture:
    """What the bytes show, on white, made smaller where it exceeds ``box``. CPU: not for the event loop.

    ``PictureUnreadable``, ``PictureUnseen``.
    """
    try:
        shown = _on_white(data, 2 * max(box))
        shown.thumbnail(box, Image.Resampling.LANCZOS)
        darkest, lightest = shown.convert("L").getextrema()
    except PictureUnreadable:
        raise
    except Exception as error:  # the library raises what it comes across in a broken file
        raise PictureUnreadable from error
    if float(lightest) - float(darkest) < FLAT:  # type: ignore[arg-type]  # of one band they are two numbers
        raise PictureUnseen
    out = BytesIO()
    shown.save(out, "PNG", optimize=True)
    return Picture(out.getvalue(), *shown.size)


def _on_white(data: bytes, side: int) -> Image.Image:
    """At most ``side`` wide and high. Sizes are asked before a pixel is decoded, and one whole copy of them is held;
    what the file says beside its pixels stays behind.
    """
    with Image.open(BytesIO(data), formats=FORMATS) as opened:
        if opened.format == "JPEG" and data.count(SCAN) > MOST_SCANS:
            raise PictureUnreadable
        width, height = opened.size
        if max(width, height) > MOST_SIDE or width * height > MOST_PIXELS or getattr(opened, "n_frames", 1) > 1:
            raise PictureUnreadable
        shown = opened.convert("RGBA")
    shown.thumbnail((side, side), Image.Resampling.LANCZOS)
    turned = ImageOps.exif_transpose(shown)
    white = Image.new("RGBA", turned.size, "white")
    return Image.alpha_composite(white, turned).convert("RGB")
