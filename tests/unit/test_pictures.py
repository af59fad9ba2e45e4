"""What becomes of a picture from outside."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from tests.pictures import LOGO, drawn, encoded
from waypost.identity.logo import Logo
from waypost.platform.pictures import PictureUnreadable, PictureUnseen, picture_of

BOX = (600, 180)


def read(png: bytes) -> Image.Image:
    with Image.open(BytesIO(png), formats=["PNG"]) as image:
        image.load()
        return image


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
def test_each_format_comes_out_as_a_png_of_the_same_size(form: str):
    picture = picture_of(encoded(drawn(ground="white"), form), BOX)
    assert read(picture.png).size == (picture.width, picture.height) == (300, 90)


def test_what_is_transparent_becomes_white():
    corner = read(picture_of(LOGO, BOX).png).getpixel((299, 0))
    assert corner == (255, 255, 255)


def test_a_large_one_is_made_smaller_in_its_proportions():
    picture = picture_of(encoded(drawn(3000, 600)), BOX)
    assert (picture.width, picture.height) == (600, 120)


def test_what_a_file_says_beside_its_pixels_is_left_behind():
    words = PngInfo()
    words.add_text("Comment", "<script>alert(1)</script>", zip=False)
    hostile = encoded(drawn(), pnginfo=words) + b"<?php evil ?>"
    kept = picture_of(hostile, BOX).png
    assert b"script" not in kept
    assert b"evil" not in kept


def test_a_phone_that_was_held_upright_is_turned():
    tags = Image.Exif()
    tags[0x0112] = 6  # turned by 90 degrees
    picture = picture_of(encoded(drawn(100, 40, ground="white"), "JPEG", exif=tags), BOX)
    assert (picture.width, picture.height) == (40, 100)


def moving() -> bytes:
    return encoded(drawn(ground="white"), save_all=True, append_images=[drawn(ink="red")])


def huge() -> bytes:
    """A PNG of a few bytes that says it is 60000 by 60000 pixels."""
    head = b"IHDR" + struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + head + struct.pack(">I", zlib.crc32(head)) + LOGO[33:]


def endless() -> bytes:
    """A JPEG of two hundred kilobytes whose last scan comes a thousand times: each costs a walk over every pixel."""
    whole = encoded(drawn(4000, 4000, ground="white"), "JPEG", progressive=True)
    scan, end = whole.rfind(b"\xff\xda"), whole.rfind(b"\xff\xd9")
    return whole[:end] + whole[scan:end] * 1000 + whole[end:]


@pytest.mark.parametrize(
    "data",
    [
        b"", b"{}", b"<svg xmlns='http://www.w3.org/2000/svg'/>", LOGO[:200], LOGO[: len(LOGO) // 2],
        encoded(drawn(ground="white"), "GIF"), encoded(drawn(ground="white"), "TIFF"), moving(), huge(),
        endless(), encoded(drawn(ground="white"), "JPEG")[:300],
    ],
)  # fmt: skip
def test_anything_else_is_refused(data: bytes):
    with pytest.raises(PictureUnreadable):
        picture_of(data, BOX)


def test_a_jpeg_in_the_scans_that_programs_write_is_read():
    assert picture_of(encoded(drawn(ground="white"), "JPEG", progressive=True), BOX).width == 300


@pytest.mark.parametrize("ink", ["white", "#f8f8f8"])
def test_a_logo_for_dark_grounds_is_refused_since_nobody_would_see_it(ink: str):
    with pytest.raises(PictureUnseen):
        picture_of(encoded(drawn(ink=ink)), BOX)


@pytest.mark.parametrize(
    ("size", "shown"), [((600, 180), (200, 60)), ((100, 40), (100, 40)), ((600, 20), (200, 7)), ((180, 180), (60, 60))]
)
def test_it_is_shown_in_its_proportions_and_never_enlarged(size: tuple[int, int], shown: tuple[int, int]):
    assert Logo("/logos/x.png", *size).shown == shown
