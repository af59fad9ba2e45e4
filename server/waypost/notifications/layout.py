"""What every e-mail has beside its words: the way to stop more of its kind, in both its forms. Pure.

``templates/layout.html`` ends with a comment that holds the words for it, in the recipient's language. The link itself
is put in when the e-mail is sent: it is a key to somebody's preferences, so it is not kept with what was said.
"""

from __future__ import annotations

import html
import re
from typing import Final

_PLACE: Final = re.compile(r"<!--stop:(?P<words>[^<>]*?)-->")
_LINK: Final = (
    '<p style="margin: 12px 0 0; font-size: 13px"><a href="{url}" class="quiet" style="color: #5b6470">{words}</a></p>'
)


def with_stop(text: str, page: str, url: str | None) -> tuple[str, str]:
    """Both forms of an e-mail, with the link where there is one, and without its place where there is none."""
    place = _PLACE.search(page)
    if place is None or url is None:
        return text, _PLACE.sub("", page, count=1)
    words = html.unescape(place["words"]).strip()
    link = _LINK.format(url=html.escape(url), words=html.escape(words))
    return f"{text.rstrip()}\n\n{words}:\n{url}\n", page[: place.start()] + link + page[place.end() :]
