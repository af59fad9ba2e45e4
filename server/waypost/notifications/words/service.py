"""Which words a notice is told in: the organisation's own, else ours."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from uuid import UUID

import jinja2

from waypost.identity.domain import Selling
from waypost.notifications.addresses import ChannelName
from waypost.notifications.domain import Text
from waypost.notifications.render import Renderer
from waypost.notifications.words import storage
from waypost.notifications.words.domain import Form, OwnWords, form_of
from waypost.platform.database import Connection
from waypost.platform.printing import chain, language_for
from waypost.platform.telemetry import log

PLAIN = Selling()


@dataclass(frozen=True, slots=True)
class Words:
    """For what sends: no edge, no principal. ``public_url``: where readers of e-mails reach us, and so a logo."""

    renderer: Renderer
    public_url: str | None = None

    async def text(
        self,
        conn: Connection,
        org_id: UUID,
        kind: str,
        channel: ChannelName,
        locale: str,
        facts: Mapping[str, str],
        *,
        address: str = "",
        selling: Selling = PLAIN,
    ) -> Text:
        """What ``channel`` says of a notice; ``address``: whose, since the console shows what would go there;
        ``selling``: with whose colour and logo.

        Own words that these facts do not fit, as those of an older version may not, give way to ours: nothing is left
        unsaid. ``jinja2.TemplateError`` when ours do not fit either.
        """
        form = form_of(channel, address)
        facts = {**facts, **(self._look(selling) if form is Form.EMAIL else {})}
        return self.say(org_id, kind, form, await storage.in_use(conn, org_id, kind, form), locale, facts)

    def say(
        self, org_id: UUID, kind: str, form: Form, theirs: Iterable[OwnWords], locale: str, facts: Mapping[str, str]
    ) -> Text:
        """In the nearest of ``theirs`` (the organisation's) and ours."""
        own = nearest(locale, theirs, self.renderer.languages(kind, form))
        if own is not None:
            try:
                return self.renderer.render_own(own, locale, facts)
            except jinja2.TemplateError:
                log.exception("own_words_failed", org_id=str(org_id), kind=kind, form=str(form), version=own.version)
        return self.renderer.render(kind, locale, facts, form)

    def _look(self, selling: Selling) -> dict[str, str]:
        """Of the layout: no fact of what happened, so nothing of it is kept with that."""
        look = {"brandColour": selling.colour}
        if selling.logo is None or self.public_url is None:
            return look
        width, height = selling.logo.shown
        return {
            **look, "brandLogo": self.public_url.rstrip("/") + selling.logo.path, "brandLogoWidth": str(width),
            "brandLogoHeight": str(height),
        }  # fmt: skip


def nearest(locale: str, own: Iterable[OwnWords], ours: Iterable[str]) -> OwnWords | None:
    """The organisation's words of the language that ``locale`` falls back to first; None: ours are nearer, or as near
    and the only ones.
    """
    by_locale = {words.locale.lower(): words for words in own}
    if not by_locale:
        return None
    ours_in = language_for(locale, ours)
    for tag in chain(locale):
        if tag.lower() in by_locale:
            return by_locale[tag.lower()]
        if tag == ours_in:
            return None
    return None
