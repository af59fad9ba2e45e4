"""Providers' statements for tests: files, and a worker that reads them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from tests.tills import CURRENCY, Shop
from waypost.payments.providers.accounts import DarajaConfig, ProviderAccount
from waypost.payments.storage_statements import Statement, StatementLine
from waypost.wiring import Services
from waypost_workers.functions.statements import read_statement

COLUMNS = (
    "Receipt No.,Completion Time,Details,Transaction Status,Paid In,Withdrawn,Balance,Linked Transaction ID,A/C No."
)


async def daraja(shop: Shop, **fields: Any) -> ProviderAccount:
    """M-Pesa's account of a shop."""
    config = DarajaConfig("key", "secret", "passkey", "174379")
    account, _ = await shop.services.money.providers.add(
        shop.owner, name="Paybill", config=config, currency=CURRENCY, **fields
    )
    return account


def line(
    receipt: str,
    at: datetime,
    *,
    paid_in: str = "",
    withdrawn: str = "",
    account: str = "",
    linked: str = "",
    status: str = "Completed",
) -> str:
    """One line as the portal writes it; ``at``: in UTC, written in East Africa's time."""
    time = (at + timedelta(hours=3)).strftime("%d-%m-%Y %H:%M:%S")
    return f'{receipt},{time},"A, B",{status},"{paid_in}","{withdrawn}",,{linked},{account}'


def file_of(lines: Sequence[str]) -> bytes:
    return "\r\n".join(["Account Holder,,Chipo", "", COLUMNS, *lines, ""]).encode()


async def add(shop: Shop, account: ProviderAccount, lines: Sequence[str]) -> Statement:
    """Send it in."""
    return await shop.services.money.statements.add(shop.owner, account.id, name="m.csv", body=file_of(lines))


async def work(services: Services, org_id: UUID, statement_id: UUID) -> None:
    """A worker's turn."""
    await read_statement({"statement_reader": services.money.statement_reader}, str(org_id), str(statement_id))


async def import_(shop: Shop, account: ProviderAccount, lines: Sequence[str]) -> tuple[Statement, list[StatementLine]]:
    """Send it in and read it; how it ended, and its lines."""
    statement = await add(shop, account, lines)
    await work(shop.services, shop.org.org_id, statement.id)
    return await read(shop, statement.id)


async def read(shop: Shop, statement_id: UUID) -> tuple[Statement, list[StatementLine]]:
    statements = shop.services.money.statements
    page = await statements.lines(shop.owner, statement_id, None, 200, None)
    return await statements.find(shop.owner, statement_id), list(page.data)
