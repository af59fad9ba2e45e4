"""A shop with a Twilio account, a customer, and deliveries by SMS and e-mail in any state, for tests of consent and
receipts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from tests.factories import Org
from waypost.kernel.ids import new_id
from waypost.notifications.addresses import ChannelName
from waypost.notifications.consent.tokens import ReportTo
from waypost.notifications.kinds import PAYMENT_REMINDER
from waypost.notifications.providers.accounts import Config, HttpConfig, ProviderAccount, SmtpConfig, TwilioConfig
from waypost.notifications.providers.twilio import SIGNATURE, signature
from waypost.notifications.providers_register import New
from waypost.notifications.states import MAX_ATTEMPTS, State
from waypost.platform.database import SYSTEM

OURS, THEIRS = "+263770000001", "+263771234567"
AUTH_TOKEN = "a token of Twilio's"
TWILIO = TwilioConfig(account_sid="AC" + "0" * 32, auth_token=AUTH_TOKEN)
GATEWAY = HttpConfig(
    url="https://gateway.example.com/send", body='{"to": "{{ to }}", "text": "{{ text }}"}',
    receipt_their_id="id", receipt_status="status", receipt_delivered=("DELIVRD",),
    receipt_undelivered=("UNDELIV",), inbound_from="from", inbound_to="to", inbound_text="text",
)  # fmt: skip
MAIL = SmtpConfig(host="mail.example.com")

ADD_NOTICE = """
INSERT INTO notifications (org_id, id, kind, dedupe_key, customer_id, user_id, recipient, locale, subject_kind,
                           subject_id, facts, valid_until, created_at)
VALUES ($1, $2, $3, $4, $5, $6, 'Chipo Dube', 'en', 'layby', $2, '{}', $7, $8)
"""
ADD_DELIVERY = """
INSERT INTO deliveries (org_id, id, notification_id, channel, address, queue, state, attempt, budget, due_at,
                        lease_until, provider_id, provider_ref, sent_at, created_at, updated_at)
VALUES ($1, $2, $3, $4, $5, 'bulk', $6::text, $7, $8, $9,
        CASE WHEN $6 = 'sending' THEN now() + interval '1 minute' END, $10, $11,
        CASE WHEN $6 IN ('sent', 'delivered', 'undelivered') THEN $9::timestamptz END, $9, $9)
"""


@dataclass(slots=True)
class Shop:
    """An organisation with one way out. ``token``: of its receipts' address."""

    org: Org
    account: ProviderAccount
    token: str

    @classmethod
    async def of(cls, org: Org, config: Config = TWILIO, sender: str = OURS) -> Shop:
        shown, token = await org.services.telling.providers.add(org.owner, New("The way out", config, sender))
        return cls(org, shown.account, token)

    async def customer(self, **of: str) -> UUID:
        return await self.org.services.directory.add_customer(self.org.owner, name="Chipo Dube", **of)

    async def delivery(
        self,
        *,
        to: str = THEIRS,
        channel: ChannelName = ChannelName.SMS,
        state: State = State.SENT,
        ref: str | None = None,
        kind: str = PAYMENT_REMINDER,
        customer_id: UUID | None = None,
        user_id: UUID | None = None,
    ) -> UUID:
        """One in that state, of a notice of its own."""
        services, now = self.org.services, self.org.services.clock.now()
        notice, delivery = new_id(services.clock), new_id(services.clock)
        attempt = 0 if state is State.PENDING else 1
        async with services.database.transaction(SYSTEM) as conn:
            await conn.execute(
                ADD_NOTICE,
                self.org.org_id,
                notice,
                kind,
                str(notice),
                customer_id,
                user_id,
                now + timedelta(days=1),
                now,
            )
            await conn.execute(
                ADD_DELIVERY, self.org.org_id, delivery, notice, channel, to, state, attempt, MAX_ATTEMPTS, now,
                self.account.id, ref,
            )  # fmt: skip
        return delivery

    async def state(self, delivery_id: UUID) -> State:
        (row,) = await self.rows("SELECT state FROM deliveries WHERE id = $1", delivery_id)
        return State(row["state"])

    async def rows(self, statement: str, *arguments: object) -> Sequence[Mapping[str, Any]]:
        async with self.org.services.database.transaction(SYSTEM) as conn:
            return [dict(row) for row in await conn.fetch(statement, *arguments)]

    async def suppressed(self) -> list[tuple[str, str, str]]:
        """What is suppressed now: address, sender, reason."""
        rows = await self.rows(
            "SELECT address, sender, reason FROM suppressions WHERE org_id = $1 AND ended_at IS NULL ORDER BY id",
            self.org.org_id,
        )
        return [(row["address"], row["sender"], row["reason"]) for row in rows]

    async def settled(self) -> None:
        """What is at work beside the answers has come to its end."""
        await asyncio.gather(*self.org.services.telling.receipts.tasks)

    def report_token(self, delivery_id: UUID) -> str:
        return self.org.services.telling.tokens.report_token(
            ReportTo(self.org.org_id, self.account.id, delivery_id)
        )  # fmt: skip


def signed(url: str, form: Mapping[str, str], auth_token: str = AUTH_TOKEN) -> dict[str, Any]:
    """A call as Twilio makes it: its body and headers, for aiohttp."""
    return {
        "data": urlencode(form).encode(),
        "headers": {
            "Content-Type": "application/x-www-form-urlencoded",
            SIGNATURE: signature(auth_token, url, list(form.items())),
        },
    }
