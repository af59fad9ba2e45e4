"""An organisation's own words: seen, tried, kept in versions, taken back."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final
from uuid import UUID

from waypost.identity import audit
from waypost.kernel.clock import Clock
from waypost.kernel.errors import Invalid, Stale
from waypost.kernel.paging import Page, decode_cursor, page_of
from waypost.kernel.principal import TELLERS, WATCHERS, Principal, Role
from waypost.notifications.addresses import ChannelName
from waypost.notifications.kinds import KINDS
from waypost.notifications.providers.accounts import ProviderAccount
from waypost.notifications.render import Renderer
from waypost.notifications.words import storage
from waypost.notifications.words.domain import Chosen, Form, OwnWords, Shown, TemplateNotFound, TooManyTemplates
from waypost.notifications.words.previews import Preview, previews, refused
from waypost.notifications.words.samples import Sample
from waypost.platform.database import Connection, Database
from waypost.platform.printing import language_for

OWNERS: Final = frozenset({Role.OWNER})
MOST_VERSIONS: Final = 5_000  # of all of an organisation's words together
_LOCALE: Final = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z]{4})?(-([A-Za-z]{2}|[0-9]{3}))?")
Accounts = Callable[[Connection, UUID, ChannelName], Awaitable[Sequence[ProviderAccount]]]


@dataclass(frozen=True, slots=True)
class Which:
    """Words of which kind and form, in which language (a BCP 47 tag)."""

    kind: str
    form: Form
    locale: str

    @classmethod
    def of(cls, kind: str, form: str, locale: str) -> Which:
        """``TemplateNotFound`` where there can be none."""
        if kind not in KINDS or form not in set(Form) or not _LOCALE.fullmatch(locale):
            raise TemplateNotFound
        return cls(kind, Form(form), _tag(locale))


def _tag(locale: str) -> str:
    """As it is usually written: fr-CD, zh-Hant-TW."""
    first, *rest = locale.split("-")
    return "-".join([first.lower(), *(each.title() if len(each) == 4 else each.upper() for each in rest)])  # noqa: PLR2004 - a script


@dataclass(frozen=True, slots=True)
class Draft:
    """Words that somebody has written. ``subject``: empty for an SMS."""

    body: str
    subject: str = ""
    note: str | None = None


@dataclass(frozen=True, slots=True)
class TemplateDesk:
    """For staff; owners change. ``accounts``: whose price the preview goes by."""

    database: Database
    clock: Clock
    renderer: Renderer
    accounts: Accounts

    async def chosen(self, principal: Principal) -> Sequence[Chosen]:
        """Where the organisation has words of its own in use."""
        principal.require(WATCHERS)
        async with self.database.transaction(principal.org_id) as conn:
            choices = await storage.choices(conn, principal.org_id)
        return [choice for choice in choices if choice.version is not None]

    async def find(self, principal: Principal, which: Which) -> Shown:
        """The words in use."""
        principal.require(WATCHERS)
        async with self.database.transaction(principal.org_id) as conn:
            return await self._shown(conn, principal.org_id, which)

    async def versions(self, principal: Principal, which: Which, limit: int, cursor: str | None) -> Page[OwnWords]:
        """The organisation's own, newest first."""
        principal.require(WATCHERS)
        before = decode_cursor(cursor, int) if cursor else None
        async with self.database.transaction(principal.org_id) as conn:
            rows = await storage.versions(
                conn, principal.org_id, which.kind, which.form, which.locale, before, limit
            )  # fmt: skip
        return page_of(rows, limit, lambda words: words.version)

    async def save(self, principal: Principal, which: Which, draft: Draft, *, expected: int | None = None) -> Shown:
        """A new version, used from now on; the words that are used already make none. ``expected``: the version that
        the caller has seen, 0 for ours (else ``Stale``). ``Invalid`` names what is wrong with the words.
        """
        principal.require(OWNERS)
        self._check(which, draft)
        async with self.database.transaction(principal.org_id) as conn:
            present = await self._locked(conn, principal.org_id, which, expected)
            shown = await self._shown(conn, principal.org_id, which)
            if present.version is None or (shown.subject, shown.body) != (draft.subject, draft.body):
                await self._keep(conn, principal, which, draft)
            return await self._shown(conn, principal.org_id, which)

    async def use(
        self, principal: Principal, which: Which, version: int | None, *, expected: int | None = None
    ) -> Shown:
        """Go back to a version of one's own, or to ours (None). May be repeated."""
        principal.require(OWNERS)
        async with self.database.transaction(principal.org_id) as conn:
            org_id = principal.org_id
            present = await self._locked(conn, org_id, which, expected)
            if version is not None and await _version(conn, org_id, which, version) is None:
                raise TemplateNotFound
            if present.version != version:
                await self._choose(conn, principal, which, version)
            return await self._shown(conn, org_id, which)

    async def preview(
        self, principal: Principal, which: Which, draft: Draft | None, version: int | None, wanted: Sequence[Sample]
    ) -> Sequence[Preview]:
        """How words read with examples: a draft's, a version's, or those in use (neither). ``Invalid`` as ``save``."""
        principal.require(TELLERS)
        if draft is not None:
            self._check(which, draft)
        async with self.database.transaction(principal.org_id) as conn:
            words = await self._to_show(conn, principal.org_id, which, draft, version)
            accounts = await self.accounts(conn, principal.org_id, ChannelName.SMS) if which.form is Form.SMS else ()
        priced = [account for account in accounts if account.price is not None]
        account = max(priced, key=lambda each: each.weight, default=None)
        return previews(self.renderer, words, which.locale, wanted, account)

    async def _to_show(
        self, conn: Connection, org_id: UUID, which: Which, draft: Draft | None, version: int | None
    ) -> OwnWords:
        if draft is not None:
            return OwnWords(which.kind, which.form, which.locale, 0, draft.subject, draft.body)
        if version is not None:
            found = await _version(conn, org_id, which, version)
            if found is None:
                raise TemplateNotFound
            return found
        shown = await self._shown(conn, org_id, which)
        return OwnWords(which.kind, which.form, shown.language, 0, shown.subject, shown.body)

    def _check(self, which: Which, draft: Draft) -> None:
        errors = refused(self.renderer, OwnWords(which.kind, which.form, which.locale, 0, draft.subject, draft.body))
        if errors:
            raise Invalid("These words cannot be used.", errors)

    async def _locked(self, conn: Connection, org_id: UUID, which: Which, expected: int | None) -> Chosen:
        present = await storage.lock_choice(conn, org_id, which.kind, which.form, which.locale, self.clock.now())
        if expected is not None and expected != (present.version or 0):
            raise Stale
        return present

    async def _keep(self, conn: Connection, principal: Principal, which: Which, draft: Draft) -> None:
        org_id = principal.org_id
        if await storage.count(conn, org_id) >= MOST_VERSIONS:
            raise TooManyTemplates
        version = await storage.newest(conn, org_id, which.kind, which.form, which.locale) + 1
        words = OwnWords(
            which.kind, which.form, which.locale, version, draft.subject, draft.body, draft.note, self.clock.now(),
            principal.user_id,
        )  # fmt: skip
        await storage.add(conn, org_id, words)
        await self._choose(conn, principal, which, version)

    async def _choose(self, conn: Connection, principal: Principal, which: Which, version: int | None) -> None:
        chosen = Chosen(which.kind, which.form, which.locale, version, self.clock.now())
        await storage.choose(conn, principal.org_id, chosen, principal.user_id)
        await audit.record(
            conn, principal, self.clock, action="template.changed", subject_kind="template", subject_id=None,
            detail={"kind": which.kind, "form": str(which.form), "locale": which.locale, "version": version},
        )  # fmt: skip

    async def _shown(self, conn: Connection, org_id: UUID, which: Which) -> Shown:
        """Ours, in the nearest language, where the organisation has chosen nothing."""
        chosen = await storage.choice(conn, org_id, which.kind, which.form, which.locale)
        versions = await storage.newest(conn, org_id, which.kind, which.form, which.locale)
        language = language_for(which.locale, self.renderer.languages(which.kind, which.form))
        if chosen is None or chosen.version is None:
            subject, body = self.renderer.source(which.kind, language, which.form)
            ours = Shown(which.kind, which.form, which.locale, language, subject, body, None, versions)
            return replace(ours, changed_at=chosen.changed_at if chosen and versions else None)
        words = await _version(conn, org_id, which, chosen.version)
        if words is None:  # no row of it is ever deleted
            raise TemplateNotFound
        return Shown(
            which.kind, which.form, which.locale, which.locale, words.subject, words.body, words.version, versions,
            chosen.changed_at, words.note,
        )  # fmt: skip


async def _version(conn: Connection, org_id: UUID, which: Which, version: int) -> OwnWords | None:
    return await storage.find(conn, org_id, which.kind, which.form, which.locale, version)
