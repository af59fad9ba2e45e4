"""Invoices to look at and to print."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from waypost.identity.rules import Rules
from waypost.invoices.paper import invoice_paper
from waypost.invoices.paper_words import LANGUAGES
from waypost.invoices.service import Invoices
from waypost.kernel.clock import Clock
from waypost.kernel.principal import Principal
from waypost.platform.papers.model import Paper
from waypost.platform.papers.pen import pen_for


@dataclass(frozen=True, slots=True)
class InvoicePapers:
    """For the staff of either organisation."""

    invoices: Invoices
    rules: Rules
    clock: Clock

    async def paper(self, principal: Principal, invoice_id: UUID, language: str | None) -> Paper:
        """In the issuer's branding; ``language`` None: the issuer's. ``InvoiceNotFound``."""
        invoice = await self.invoices.find(principal, invoice_id)
        settings = await self.rules.of(invoice.org_id)
        tag = language or settings.selling.locale
        pen = pen_for(LANGUAGES, tag, invoice.currency, settings.time_zone)
        return invoice_paper(invoice, settings.selling, pen)
