"""An organisation's logo as its settings name it. Pure; the picture itself is in ``storage_logos``."""

from __future__ import annotations

from typing import Final

import msgspec

ROOT: Final = "/logos/"
STORED: Final = (600, 180)  # three times what is shown, for sharp screens and paper
SHOWN: Final = (200, 60)


class Logo(msgspec.Struct, frozen=True, rename="camel"):
    """Where anybody sees it, below the public address, and its size in pixels. Another logo has another path."""

    path: str
    width: int
    height: int

    @property
    def key(self) -> str:
        """What is unguessable of its path."""
        return self.path.removeprefix(ROOT).removesuffix(".png")

    @property
    def shown(self) -> tuple[int, int]:
        """Its size on a page, in CSS pixels: within ``SHOWN``, and never larger than it is."""
        scale = min(1.0, SHOWN[0] / self.width, SHOWN[1] / self.height)
        return max(1, round(self.width * scale)), max(1, round(self.height * scale))


def logo_of(key: str, width: int, height: int) -> Logo:
    return Logo(f"{ROOT}{key}.png", width, height)
