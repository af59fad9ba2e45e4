"""Whose address a provider called."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Protocol
from uuid import UUID

from waypost.notifications.addresses import ChannelName
from waypost.notifications.consent.tokens import LONGEST_TOKEN, ReportTo, Tokens
from waypost.notifications.providers.accounts import HOUSE_SMTP, ProviderAccount, ProviderName, SmtpConfig
from waypost.notifications.receipts.domain import ReceiptDoorUnknown, ReceiptElsewhere
from waypost.platform.database import Connection
from waypost.platform.telemetry import log

SHORTEST_TOKEN: Final = 16


class Accounts(Protocol):
    """The register of message providers, as far as receipts ask it."""

    async def find_by_token(self, conn: Connection, token: str) -> ProviderAccount | None:
        """Whose address has this token, archived or not. In the system scope."""
        ...

    async def account(self, conn: Connection, org_id: UUID, provider_id: UUID) -> ProviderAccount | None:
        """One account, archived or not."""
        ...

    async def of(self, conn: Connection, org_id: UUID, channel: ChannelName) -> Sequence[ProviderAccount]:
        """Those in use of a channel."""
        ...


@dataclass(frozen=True, slots=True)
class Door:
    """``account`` None: the installation's own mail server, whose reports may be of any organisation. ``delivery_id``:
    the address was made for that delivery.
    """

    account: ProviderAccount | None
    delivery_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Doors:
    """Finds who is meant by the token in an address."""

    accounts: Accounts
    tokens: Tokens

    async def find(self, conn: Connection, token: str, address: str) -> Door:
        """In the system scope. ``ReceiptDoorUnknown``; ``ReceiptElsewhere`` where the account names networks and
        ``address`` is in none of them.
        """
        door = await self._find(conn, token) if SHORTEST_TOKEN <= len(token) <= LONGEST_TOKEN else None
        if door is None:
            raise ReceiptDoorUnknown
        if door.account is not None and not lets_in(door.account.addresses, address):
            log.warning("receipt_refused", provider_id=str(door.account.id), reason="address")
            raise ReceiptElsewhere
        return door

    async def account(self, conn: Connection, org_id: UUID, provider_id: UUID) -> ProviderAccount | None:
        """One account, or the installation's own mail server."""
        if provider_id == HOUSE_SMTP:
            return house(org_id)
        return await self.accounts.account(conn, org_id, provider_id)

    async def _find(self, conn: Connection, token: str) -> Door | None:
        if (to := self.tokens.read_report(token)) is not None:
            return await self._of_delivery(conn, to)
        if self.tokens.is_house(token):
            return Door(None)
        account = await self.accounts.find_by_token(conn, token)
        return Door(account) if account else None

    async def _of_delivery(self, conn: Connection, to: ReportTo) -> Door | None:
        account = await self.account(conn, to.org_id, to.provider_id)
        return Door(account, to.delivery_id) if account else None


def house(org_id: UUID) -> ProviderAccount:
    """The installation's own mail server, as an account of that organisation."""
    return ProviderAccount(
        org_id, HOUSE_SMTP, ChannelName.EMAIL, ProviderName.SMTP, "", SmtpConfig(""), "", 0, None, None, None, (),
        datetime.min.replace(tzinfo=UTC), 1,
    )  # fmt: skip


def lets_in(networks: Sequence[str], address: str) -> bool:
    """May a receipt come from there? No networks: from anywhere."""
    if not networks:
        return True
    try:
        client = ipaddress.ip_network(address)
    except ValueError:  # unknown
        return False
    known = [ipaddress.ip_network(network) for network in networks]
    return any(network.version == client.version and network.overlaps(client) for network in known)
