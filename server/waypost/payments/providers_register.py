"""The register of payment providers: which accounts an organisation has with them, and their callbacks' tokens."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final
from uuid import UUID

import msgspec

from waypost.identity import audit
from waypost.identity.domain import token_hash
from waypost.kernel.clock import Clock
from waypost.kernel.errors import Conflict, Stale, invalid_field
from waypost.kernel.ids import new_id
from waypost.kernel.money import places
from waypost.kernel.paging import Page, decode_cursor, page_of
from waypost.kernel.principal import MONEY, Principal, Role
from waypost.kernel.sealed import CANNOT_BE_READ, Lost, anew
from waypost.payments import storage_providers as storage
from waypost.payments.providers.accounts import (
    DARAJA_ROOTS,
    MOST_SECRETS,
    OLD_SECRET_LIFE,
    OLD_TOKEN_LIFE,
    Config,
    DarajaConfig,
    ProviderAccount,
    ProviderName,
    ProviderNotFound,
    Secret,
    ShortcodeKind,
    SignedConfig,
    normal_network,
    seal_form,
)
from waypost.platform.database import Connection, Database
from waypost.platform.secretbox import SecretBox

__all__ = ["DarajaConfig", "ProviderAccount", "ProviderRegister", "ShortcodeKind", "SignedConfig"]

OWNERS: Final = frozenset({Role.OWNER})
TOKEN_BYTES: Final = 16  # 32 hex digits: no word that a provider forbids in an address can arise


class ProviderArchived(Conflict):
    """This payment provider is archived; nothing of it can be changed."""

    code = "payment-provider-archived"


@dataclass(frozen=True, slots=True)
class ProviderRegister:
    """For owners; accountants read it. ``roots``: where else than at its own addresses Daraja may be reached."""

    database: Database
    clock: Clock
    box: SecretBox
    roots: Collection[str] = frozenset()

    async def find_by_token(self, conn: Connection, token: str) -> ProviderAccount | None:
        """Whose callbacks' address has this token, archived or not: what it reports is money. In the system scope."""
        row = await storage.find_by_token(conn, token_hash(token), self.clock.now())
        return row.open(self.box) if row else None

    async def of(self, conn: Connection, org_id: UUID, provider_id: UUID) -> ProviderAccount | None:
        """One account, for what acts on its own."""
        row = await storage.find(conn, org_id, provider_id)
        return row.open(self.box) if row else None

    async def find(self, principal: Principal, provider_id: UUID) -> ProviderAccount:
        """One account, archived or not."""
        principal.require(MONEY)
        async with self.database.transaction(principal.org_id) as conn:
            return await self._found(conn, principal, provider_id)

    async def list(
        self, principal: Principal, limit: int, cursor: str | None, *, archived: bool
    ) -> Page[ProviderAccount]:
        """By id, which is the order in which they were added."""
        principal.require(MONEY)
        after = decode_cursor(cursor, UUID) if cursor else None
        async with self.database.transaction(principal.org_id) as conn:
            rows = await storage.list_providers(conn, principal.org_id, after, limit, archived=archived)
        return page_of([row.open(self.box) for row in rows], limit, lambda account: account.id)

    async def add(
        self,
        principal: Principal,
        *,
        name: str,
        config: Config,
        currency: str,
        addresses: Sequence[str] = (),
        check_above_minor: int | None = None,
    ) -> tuple[ProviderAccount, str]:
        """An account and the token of its callbacks' address, which is shown this once and never again."""
        principal.require(OWNERS)
        account = ProviderAccount(
            principal.org_id, new_id(self.clock), _name_of(config), name, self._checked(config),
            checked_addresses(addresses), check_above_minor, checked_currency(currency), self.clock.now(), 1,
        )  # fmt: skip
        token = new_token()
        async with self.database.transaction(principal.org_id) as conn:
            await storage.add(conn, account, self._sealed(config), token_hash(token))
            await self._record(conn, principal, "added", account.id, provider=str(account.provider))
        return account, token

    async def change(
        self, principal: Principal, provider_id: UUID, values: Mapping[str, Any], *, expected: int | None = None
    ) -> ProviderAccount:
        """``values``: name, addresses, check_above_minor, and ``config``: the fields of it that change. A new secret of
        a provider that signs stands beside the one before for a day. ``expected``: the version that the caller has seen
        (else ``Stale``); None: any. Where the present settings cannot be read, a new ``config`` stands alone.
        """
        principal.require(OWNERS)
        async with self.database.transaction(principal.org_id) as conn:
            before = await self.locked(conn, principal, provider_id, expected)
            if not values:
                return before
            after = self._changed(before, dict(values))
            await storage.change(conn, after, None if isinstance(after.config, Lost) else self._sealed(after.config))
            await self._record(conn, principal, "changed", provider_id, fields=sorted(values))
            return await self._found(conn, principal, provider_id)

    async def replace_token(self, principal: Principal, provider_id: UUID) -> tuple[ProviderAccount, str]:
        """A new token; the present one goes on for a day. One that was replaced before, within a day, ends now."""
        principal.require(OWNERS)
        token = new_token()
        async with self.database.transaction(principal.org_id) as conn:
            await self.locked(conn, principal, provider_id)
            old_until = self.clock.now() + OLD_TOKEN_LIFE
            await storage.replace_token(conn, principal.org_id, provider_id, token_hash(token), old_until)
            await self._record(conn, principal, "token-replaced", provider_id)
            return await self._found(conn, principal, provider_id), token

    async def archive(self, principal: Principal, provider_id: UUID) -> None:
        """Nothing new is asked of it; what it still reports is taken. May be repeated."""
        principal.require(OWNERS)
        async with self.database.transaction(principal.org_id) as conn:
            account = await self._found(conn, principal, provider_id, lock=True)
            if account.archived_at is None:
                await storage.archive(conn, principal.org_id, provider_id, self.clock.now())
                await self._record(conn, principal, "archived", provider_id)

    def _changed(self, before: ProviderAccount, values: dict[str, Any]) -> ProviderAccount:
        if "addresses" in values:
            values["addresses"] = checked_addresses(values["addresses"])
        if "config" in values:
            fields, lost = values["config"], isinstance(before.config, Lost)
            new = self._config_anew(before.provider, fields) if lost else self._new_config(before, fields)
            values["config"] = self._checked(new)
        return replace(before, **values)

    def _new_config(self, before: ProviderAccount, fields: Mapping[str, Any]) -> Config:
        if before.provider is ProviderName.DARAJA:
            return msgspec.structs.replace(before.daraja, **fields)
        rest = dict(fields)
        if (secret := rest.pop("secret", None)) is not None:
            rest["secrets"] = self._with_new_secret(before.signed, secret)
        return msgspec.structs.replace(before.signed, **rest)

    def _config_anew(self, provider: ProviderName, fields: Mapping[str, Any]) -> Config:
        if provider is ProviderName.DARAJA:
            return anew(DarajaConfig, fields)
        rest = dict(fields)
        if (secret := rest.pop("secret", None)) is None:
            raise invalid_field("config.secret", CANNOT_BE_READ)
        return anew(SignedConfig, {**rest, "secrets": (Secret(secret),)})

    def _with_new_secret(self, before: SignedConfig, secret: str) -> tuple[Secret, ...]:
        now = self.clock.now()
        until = now + OLD_SECRET_LIFE
        old = [
            Secret(each.secret, min(each.until or until, until))
            for each in before.secrets
            if (each.until is None or now < each.until) and each.secret != secret
        ]
        return (Secret(secret), *old[: MOST_SECRETS - 1])

    def _checked(self, config: Config) -> Config:
        """``Invalid``, unless Daraja is where it may be: nobody makes our workers ask another address."""
        if isinstance(config, DarajaConfig) and config.base_url not in DARAJA_ROOTS.union(self.roots):
            raise invalid_field("config.baseUrl", f"one of {', '.join(sorted(DARAJA_ROOTS.union(self.roots)))}")
        return config

    def _sealed(self, config: Config) -> str:
        return self.box.seal(seal_form(config))

    async def locked(
        self, conn: Connection, principal: Principal, provider_id: UUID, expected: int | None = None
    ) -> ProviderAccount:
        """``ProviderNotFound``, ``Stale``, ``ProviderArchived``."""
        account = await self._found(conn, principal, provider_id, lock=True)
        if expected not in (None, account.version):
            raise Stale
        if account.archived_at is not None:
            raise ProviderArchived
        return account

    async def _found(
        self, conn: Connection, principal: Principal, provider_id: UUID, *, lock: bool = False
    ) -> ProviderAccount:
        row = await storage.find(conn, principal.org_id, provider_id, lock=lock)
        if row is None:
            raise ProviderNotFound
        return row.open(self.box)

    async def _record(
        self, conn: Connection, principal: Principal, what: str, provider_id: UUID, **detail: object
    ) -> None:
        await audit.record(
            conn, principal, self.clock, action=f"payment-provider.{what}", subject_kind="payment-provider",
            subject_id=provider_id, detail=detail,
        )  # fmt: skip


def new_token() -> str:
    """For the address of callbacks, of an account or of a single prompt."""
    return secrets.token_hex(TOKEN_BYTES)


def checked_addresses(addresses: Sequence[str]) -> Sequence[str]:
    """Networks as they are kept, each once; ``Invalid`` names the one that is none."""
    networks: dict[str, None] = {}
    for index, text in enumerate(addresses):
        try:
            networks[normal_network(text)] = None
        except ValueError as error:
            raise invalid_field(f"addresses[{index}]", str(error)) from error
    return list(networks)


def checked_currency(currency: str) -> str:
    """``Invalid`` for a code that is none."""
    try:
        places(currency)
    except ValueError as error:
        raise invalid_field("currency", str(error)) from error
    return currency


def _name_of(config: Config) -> ProviderName:
    return ProviderName.DARAJA if isinstance(config, DarajaConfig) else ProviderName.SIGNED
