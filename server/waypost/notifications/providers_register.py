"""The register of message providers: by which accounts an organisation's messages go out, and their reports' tokens."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import msgspec

from waypost.identity import audit
from waypost.identity.domain import token_hash
from waypost.kernel.clock import Clock
from waypost.kernel.errors import Conflict, Stale
from waypost.kernel.ids import new_id
from waypost.kernel.paging import Page, decode_cursor, page_of
from waypost.kernel.principal import Principal, Role
from waypost.kernel.sealed import Lost
from waypost.notifications import storage_providers as storage
from waypost.notifications import unreadable
from waypost.notifications.addresses import ChannelName
from waypost.notifications.providers.accounts import (
    OLD_TOKEN_LIFE,
    Config,
    MessageProviderNotFound,
    ProviderAccount,
    channel_of,
    config_anew,
    name_of,
    seal_form,
)
from waypost.notifications.providers.saving import Judge, checked
from waypost.notifications.storage_providers import Health, Row
from waypost.platform.database import Connection, Database
from waypost.platform.secretbox import SecretBox
from waypost.platform.telemetry import log
from waypost.realtime.service import Publisher

OWNERS: Final = frozenset({Role.OWNER})
TOKEN_BYTES: Final = 16
MOST_OPENED: Final = 2000  # accounts whose settings a process keeps in the clear
MOST_ACCOUNTS: Final = 50  # of an organisation, in use: the claim looks at all of a channel


class MessageProviderArchived(Conflict):
    """This message provider is archived; nothing of it can be changed."""

    code = "message-provider-archived"


class TooManyMessageProviders(Conflict):
    """An organisation has at most fifty message providers in use; archive one first."""

    code = "too-many-message-providers"


@dataclass(slots=True)
class Opened:
    """Accounts by id and version, the ones used last: so that a claim need not decrypt."""

    box: SecretBox
    kept: OrderedDict[tuple[UUID, int], ProviderAccount] = field(default_factory=OrderedDict)

    def of(self, row: Row) -> ProviderAccount:
        """One whose settings cannot be read too; each process says so once of each version."""
        key = row.id, row.version
        account = self.kept.get(key)
        if account is None:
            account = self.kept[key] = row.open(self.box)
            if not account.is_readable:
                log.error("message_provider_unreadable", provider_id=str(row.id), channel=str(account.channel))
            if len(self.kept) > MOST_OPENED:
                self.kept.popitem(last=False)
        self.kept.move_to_end(key)
        return account


@dataclass(frozen=True, slots=True)
class Shown:
    """An account as staff see it. ``health`` None: no worker has seen it fail."""

    account: ProviderAccount
    health: Health | None = None


@dataclass(frozen=True, slots=True)
class New:
    """An account to be."""

    name: str
    config: Config
    sender: str = ""
    weight: int = 100
    price: Decimal | None = None
    price_currency: str | None = None
    a_minute: int | None = None
    addresses: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class MessageProviders:
    """For owners. ``judge``: why an address cannot be called from here, or None."""

    database: Database
    clock: Clock
    publisher: Publisher
    box: SecretBox
    judge: Judge
    opened: Opened

    @classmethod
    def over(
        cls, database: Database, clock: Clock, publisher: Publisher, box: SecretBox, judge: Judge
    ) -> MessageProviders:
        return cls(database, clock, publisher, box, judge, Opened(box))

    async def of(self, conn: Connection, org_id: UUID, channel: ChannelName) -> Sequence[ProviderAccount]:
        """Those in use of a channel, for what acts on its own; none: it has none. Nobody sends by one that is not
        ``is_readable``.
        """
        return [self.opened.of(row) for row in await storage.of_channel(conn, org_id, channel)]

    async def account(self, conn: Connection, org_id: UUID, provider_id: UUID) -> ProviderAccount | None:
        """One account, archived or not, for what acts on its own. ``Unreadable``."""
        row = await storage.find(conn, org_id, provider_id)
        return self.opened.of(row).readable() if row else None

    async def find_by_token(self, conn: Connection, token: str) -> ProviderAccount | None:
        """Whose reports' address has this token, archived or not. In the system scope. ``Unreadable``."""
        row = await storage.find_by_token(conn, token_hash(token), self.clock.now())
        return self.opened.of(row).readable() if row else None

    async def find(self, principal: Principal, provider_id: UUID) -> Shown:
        """One account, archived or not."""
        principal.require(OWNERS)
        async with self.database.transaction(principal.org_id) as conn:
            return await self._shown(conn, await self._found(conn, principal, provider_id))

    async def list(self, principal: Principal, limit: int, cursor: str | None, *, archived: bool) -> Page[Shown]:
        """By id, which is the order in which they were added."""
        principal.require(OWNERS)
        after = decode_cursor(cursor, UUID) if cursor else None
        async with self.database.transaction(principal.org_id) as conn:
            rows = await storage.list_providers(conn, principal.org_id, after, limit, archived=archived)
            healths = await storage.healths(conn, principal.org_id, [row.id for row in rows])
        shown = [Shown(row.open(self.box), healths.get(row.id)) for row in rows]
        return page_of(shown, limit, lambda each: each.account.id)

    async def add(self, principal: Principal, new: New) -> tuple[Shown, str]:
        """An account and the token of its reports' addresses, which is shown this once."""
        principal.require(OWNERS)
        token = _new_token()
        account = checked(
            ProviderAccount(
                principal.org_id, new_id(self.clock), channel_of(new.config), name_of(new.config), new.name, new.config,
                new.sender, new.weight, new.price, new.price_currency, new.a_minute, new.addresses, self.clock.now(),
                1,
            ),
            self.judge,
        )  # fmt: skip
        async with self.database.transaction(principal.org_id) as conn:
            if await storage.count(conn, principal.org_id) >= MOST_ACCOUNTS:
                raise TooManyMessageProviders
            await storage.add(conn, account, self._sealed(new.config), token_hash(token))
            await self._record(conn, principal, "added", account.id, provider=str(account.provider))
        return Shown(account), token

    async def change(
        self, principal: Principal, provider_id: UUID, values: Mapping[str, Any], *, expected: int | None = None
    ) -> Shown:
        """``values``: fields of the account, and ``config``: the fields of it that change. ``expected``: the version
        that the caller has seen (else ``Stale``); None: any. Where the present settings cannot be read, a new
        ``config`` stands alone.
        """
        principal.require(OWNERS)
        async with self.database.transaction(principal.org_id) as conn:
            before = await self._locked(conn, principal, provider_id, expected)
            if values:
                after = checked(_changed(before, values), self.judge)
                sealed = None if isinstance(after.config, Lost) else self._sealed(after.config)
                await storage.change(conn, after, sealed)
                if sealed is not None:
                    await self._settled(conn, principal, before, "its settings were given anew")
                await self._record(conn, principal, "changed", provider_id, fields=sorted(values))
            return await self._shown(conn, await self._found(conn, principal, provider_id))

    async def replace_token(self, principal: Principal, provider_id: UUID) -> tuple[Shown, str]:
        """A new token; the present one goes on for a day. One that was replaced before, within a day, ends now."""
        principal.require(OWNERS)
        token = _new_token()
        async with self.database.transaction(principal.org_id) as conn:
            await self._locked(conn, principal, provider_id, None)
            old_until = self.clock.now() + OLD_TOKEN_LIFE
            await storage.replace_token(conn, principal.org_id, provider_id, token_hash(token), old_until)
            await self._record(conn, principal, "token-replaced", provider_id)
            return await self._shown(conn, await self._found(conn, principal, provider_id)), token

    async def archive(self, principal: Principal, provider_id: UUID) -> None:
        """Nothing goes out by it any more; what it still reports is taken. May be repeated."""
        principal.require(OWNERS)
        async with self.database.transaction(principal.org_id) as conn:
            account = await self._found(conn, principal, provider_id, lock=True)
            if account.archived_at is None:
                await storage.archive(conn, principal.org_id, provider_id, self.clock.now())
                await self._settled(conn, principal, account, "it was archived")
                await self._record(conn, principal, "archived", provider_id)

    def _sealed(self, config: Config) -> str:
        return self.box.seal(seal_form(config))

    async def _settled(self, conn: Connection, principal: Principal, before: ProviderAccount, how: str) -> None:
        await unreadable.settled(conn, self.publisher, self.clock, before, by=principal.user_id, resolution=how)

    async def _locked(
        self, conn: Connection, principal: Principal, provider_id: UUID, expected: int | None
    ) -> ProviderAccount:
        """``MessageProviderNotFound``, ``Stale``, ``MessageProviderArchived``."""
        account = await self._found(conn, principal, provider_id, lock=True)
        if expected not in (None, account.version):
            raise Stale
        if account.archived_at is not None:
            raise MessageProviderArchived
        return account

    async def _found(
        self, conn: Connection, principal: Principal, provider_id: UUID, *, lock: bool = False
    ) -> ProviderAccount:
        row = await storage.find(conn, principal.org_id, provider_id, lock=lock)
        if row is None:
            raise MessageProviderNotFound
        return row.open(self.box)

    async def _shown(self, conn: Connection, account: ProviderAccount) -> Shown:
        return Shown(account, (await storage.healths(conn, account.org_id, [account.id])).get(account.id))

    async def _record(
        self, conn: Connection, principal: Principal, what: str, provider_id: UUID, **detail: object
    ) -> None:
        await audit.record(
            conn, principal, self.clock, action=f"message-provider.{what}", subject_kind="message-provider",
            subject_id=provider_id, detail=detail,
        )  # fmt: skip


def _new_token() -> str:
    return secrets.token_hex(TOKEN_BYTES)


def _changed(before: ProviderAccount, values: Mapping[str, Any]) -> ProviderAccount:
    named = dict(values)
    if "config" in named:
        present, fields = before.config, named["config"]
        if isinstance(present, Lost):
            named["config"] = config_anew(before.provider, fields)
        else:
            named["config"] = msgspec.structs.replace(present, **fields)
    return replace(before, **named)
