"""The register of webhooks: who is told of what, where, and signed with which secrets."""

from __future__ import annotations

import difflib
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final
from uuid import UUID

from waypost.identity import audit
from waypost.kernel.clock import Clock
from waypost.kernel.errors import Stale, invalid_field
from waypost.kernel.ids import new_id
from waypost.kernel.paging import Page, decode_cursor, page_of
from waypost.kernel.principal import Principal, Role
from waypost.platform.database import Connection, Database
from waypost.platform.guarded import Guard
from waypost.platform.secretbox import SecretBox
from waypost.webhooks import signing, storage
from waypost.webhooks.alarms import Alarms
from waypost.webhooks.catalogue import TEST, TYPES
from waypost.webhooks.domain import (
    EVERYTHING,
    MOST_WEBHOOKS,
    OffReason,
    Secret,
    Switch,
    TooManyWebhooks,
    Webhook,
    WebhookArchived,
    WebhookNotFound,
)

OWNERS: Final = frozenset({Role.OWNER})
CHOICES: Final = tuple(name for name in TYPES if name != TEST)


@dataclass(frozen=True, slots=True)
class Webhooks:
    """For owners. ``guard``: where events may go."""

    database: Database
    clock: Clock
    box: SecretBox
    guard: Guard
    alarms: Alarms
    random: Callable[[int], bytes] = secrets.token_bytes

    async def list(self, principal: Principal, limit: int, cursor: str | None, *, archived: bool) -> Page[Webhook]:
        """By id, which is the order in which they were added."""
        principal.require(OWNERS)
        after = decode_cursor(cursor, UUID) if cursor else None
        async with self.database.transaction(principal.org_id) as conn:
            rows = await storage.list_webhooks(conn, self.box, principal.org_id, after, limit, archived=archived)
        return page_of(rows, limit, lambda webhook: webhook.id)

    async def find(self, principal: Principal, webhook_id: UUID) -> Webhook:
        """One, archived or not."""
        principal.require(OWNERS)
        async with self.database.transaction(principal.org_id) as conn:
            return await self.found(conn, principal, webhook_id)

    async def add(self, principal: Principal, *, name: str, url: str, events: Sequence[str]) -> Webhook:
        """A webhook with its first secret, which is shown this once."""
        principal.require(OWNERS)
        webhook = Webhook(
            principal.org_id, new_id(self.clock), name, self._checked_url(url), checked_events(events),
            (Secret(self._new_secret()),), self.clock.now(),
        )  # fmt: skip
        async with self.database.transaction(principal.org_id) as conn:
            if await storage.count(conn, principal.org_id) >= MOST_WEBHOOKS:
                raise TooManyWebhooks
            await storage.add(conn, self.box, webhook, principal.user_id)
            await self.record(conn, principal, "added", webhook.id, events=list(webhook.events))
        return webhook

    async def change(
        self, principal: Principal, webhook_id: UUID, values: Mapping[str, Any], *, expected: int | None = None
    ) -> Webhook:
        """``values``: name, url, events, state. ``expected``: the version that the caller has seen (else ``Stale``);
        None: any. What is switched on begins with a clean record; what waits for one that is switched off is not sent.
        """
        principal.require(OWNERS)
        rest = dict(values)
        state = rest.pop("state", None)
        if "url" in rest:
            rest["url"] = self._checked_url(rest["url"])
        if "events" in rest:
            rest["events"] = checked_events(rest["events"])
        async with self.database.transaction(principal.org_id) as conn:
            before = await self.locked(conn, principal, webhook_id, expected)
            if rest:
                await storage.change(conn, self.box, replace(before, **rest))
            if state is not None and state is not before.state:
                await self._switch(conn, principal, before, state)
            if values:
                await self.record(conn, principal, "changed", webhook_id, fields=sorted(values))
            return await self.found(conn, principal, webhook_id)

    async def rotate(self, principal: Principal, webhook_id: UUID) -> Webhook:
        """A new secret, the first of ``secrets``; for a day the present one signs beside it."""
        principal.require(OWNERS)
        async with self.database.transaction(principal.org_id) as conn:
            before = await self.locked(conn, principal, webhook_id, None)
            changed = signing.with_new(before.secrets, self._new_secret(), self.clock.now())
            await storage.change(conn, self.box, replace(before, secrets=changed))
            await self.record(conn, principal, "secret-rotated", webhook_id)
            return await self.found(conn, principal, webhook_id)

    async def archive(self, principal: Principal, webhook_id: UUID) -> None:
        """Nothing is sent to it any more. May be repeated."""
        principal.require(OWNERS)
        async with self.database.transaction(principal.org_id) as conn:
            webhook = await self.found(conn, principal, webhook_id, lock=True)
            if webhook.archived_at is not None:
                return
            await storage.archive(conn, webhook, self.clock.now())
            await storage.cancel_waiting(conn, webhook, "webhook_archived", self.clock.now())
            await self.alarms.on_again(conn, webhook, principal.user_id)
            await self.record(conn, principal, "archived", webhook_id)

    async def locked(
        self, conn: Connection, principal: Principal, webhook_id: UUID, expected: int | None = None
    ) -> Webhook:
        """``WebhookNotFound``, ``Stale``, ``WebhookArchived``."""
        webhook = await self.found(conn, principal, webhook_id, lock=True)
        if expected not in (None, webhook.version):
            raise Stale
        if webhook.archived_at is not None:
            raise WebhookArchived
        return webhook

    async def found(self, conn: Connection, principal: Principal, webhook_id: UUID, *, lock: bool = False) -> Webhook:
        """``WebhookNotFound``."""
        webhook = await storage.find(conn, self.box, principal.org_id, webhook_id, lock=lock)
        if webhook is None:
            raise WebhookNotFound
        return webhook

    async def record(
        self, conn: Connection, principal: Principal, what: str, webhook_id: UUID, **detail: object
    ) -> None:
        """In the audit log."""
        await audit.record(
            conn, principal, self.clock, action=f"webhook.{what}", subject_kind="webhook", subject_id=webhook_id,
            detail=detail,
        )  # fmt: skip

    async def _switch(self, conn: Connection, principal: Principal, before: Webhook, to: Switch) -> None:
        if to is Switch.ON:
            await storage.switch(conn, before, to, None, None)
            await self.alarms.on_again(conn, before, principal.user_id)
        else:
            await storage.switch(conn, before, to, OffReason.BY_HAND, self.clock.now())
            await storage.cancel_waiting(conn, before, "webhook_off", self.clock.now())

    def _checked_url(self, url: str) -> str:
        """``Invalid``, where it says by itself that it may not be called."""
        if complaint := self.guard.complaint(url):
            raise invalid_field("url", complaint)
        return url

    def _new_secret(self) -> str:
        return signing.secret_of(self.random(signing.SECRET_BYTES))


def checked_events(events: Sequence[str]) -> Sequence[str]:
    """Each once; ``Invalid`` names one that is none, with those that are like it."""
    for index, name in enumerate(events):
        if name != EVERYTHING and name not in CHOICES:
            near = difflib.get_close_matches(name, CHOICES, n=3)
            hint = f"; did you mean {' or '.join(near)}?" if near else ""
            raise invalid_field(f"events[{index}]", f"there is no such event{hint}")
    return [EVERYTHING] if EVERYTHING in events else list(dict.fromkeys(events))
