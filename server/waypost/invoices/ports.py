"""What invoices need of others; wiring fills it."""

from __future__ import annotations

from typing import Protocol

from waypost.invoices.domain import Invoice
from waypost.kernel.principal import Principal
from waypost.platform.database import Connection


class OnAccount(Protocol):
    """Money that a counterparty has on account with the issuer. For a locked invoice, in the caller's transaction; each
    gives the invoice as it is then.
    """

    async def use(self, conn: Connection, principal: Principal, invoice: Invoice) -> Invoice:
        """Pay the invoice with it, as far as it goes."""
        ...

    async def give_back(self, conn: Connection, principal: Principal, invoice: Invoice) -> Invoice:
        """What of it has paid the invoice is on account again."""
        ...
