"""A world with subscribers: services, one worker's sender, and the fake provider's webhook face."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any, cast
from uuid import UUID

import msgspec

from tests.factories import Org, organisation
from tests.fakes.accepts import Accepted
from tests.fakes.faces.webhook import WebhookReceiver
from tests.fakes.provider import FakeProvider, fake_provider
from waypost.notifications.domain import Notice, Waiting
from waypost.platform.database import SYSTEM
from waypost.platform.guarded import Guard
from waypost.settings import Settings
from waypost.webhooks.domain import Webhook
from waypost.webhooks.events import take_all
from waypost.webhooks.sending import Dues, Sender
from waypost.wiring import Services, open_services
from waypost.wiring_work import webhook_dues_over, webhook_sender_over
from waypost_workers.channels.webhook import webhook_poster

NETWORKS = "127.0.0.0/8"
DELIVERIES = "SELECT * FROM webhook_deliveries ORDER BY id"
ALL_DUE = "UPDATE webhook_deliveries SET due_at = now() - interval '1 day', poked_at = NULL WHERE state = 'pending'"
RESTED = "UPDATE webhooks SET slow_until = NULL"
LEASE_OUT = "UPDATE webhook_deliveries SET lease_until = now() - interval '1 second' WHERE state = 'sending'"
_numbers = count(1)


@dataclass(slots=True)
class HookWorld:
    """One installation with one organisation."""

    services: Services
    org: Org
    fake: FakeProvider
    sender: Sender
    dues: Dues

    @property
    def face(self) -> WebhookReceiver:
        return cast("WebhookReceiver", self.fake.faces["webhook"])

    @property
    def accepted(self) -> list[Accepted]:
        """What subscribers have taken."""
        return [each for each in self.fake.accepted if each.face == "webhook"]

    async def subscribe(self, name: str = "shop", *, events: Sequence[str] = ("*",), url: str | None = None) -> Webhook:
        """A webhook at the fake, which knows its secret."""
        address = url or f"{self.fake.url}/webhook/{name}"
        added = await self.services.telling.webhooks.add(self.org.owner, name=name, url=address, events=events)
        self.face.secrets[name] = added.secrets[0].secret
        return added

    async def happen(self, kind: str = "layby_completed", number: int = 1, **facts: str) -> list[str]:
        """So many rows of the outbox, kept as the relay keeps them; their keys."""
        rows = [self.row(kind, **facts) for _ in range(number)]
        await self.take(rows)
        return [row.key for row in rows]

    async def take(self, rows: Sequence[Waiting]) -> None:
        async with self.services.database.transaction(SYSTEM) as conn:
            await take_all(conn, rows, self.services.clock)

    def row(self, kind: str = "layby_completed", *, org_id: UUID | None = None, **facts: str) -> Waiting:
        number = next(_numbers)
        subject = UUID(int=0x7000_8000_0000_0000_0000 + number)
        notice = Notice(self.org.org_id, "layby", subject, {"reference": f"LB-{number}", **facts})
        payload = msgspec.json.encode(notice).decode()
        now = self.services.clock.now()
        return Waiting(org_id or self.org.org_id, subject, kind, f"test:{number}", payload, None, now, 0)

    async def send(self) -> int:
        """A relay's pass and the workers' turns that it asks for; how many were asked for."""
        async with self.services.database.transaction(SYSTEM) as conn:
            wakes = await self.dues.due(conn, 1000)
        for wake in wakes:
            await self.sender.turn(wake.org_id, wake.webhook_id, wake.id)
        return len(wakes)

    async def send_all(self) -> None:
        """Until nothing is due, rests and waits left out."""
        while await self._skip_waits() and await self.send():
            pass

    async def _skip_waits(self) -> bool:
        await self.execute(ALL_DUE)
        await self.execute(RESTED)
        return True

    async def rows(self) -> list[Mapping[str, Any]]:
        return await self.query(DELIVERIES)

    async def webhook(self, webhook: Webhook) -> Webhook:
        """As it is now."""
        return await self.services.telling.webhooks.find(self.org.owner, webhook.id)

    async def query(self, statement: str, *arguments: object) -> list[Mapping[str, Any]]:
        async with self.services.database.transaction(SYSTEM) as conn:
            return list(await conn.fetch(statement, *arguments))

    async def execute(self, statement: str, *arguments: object) -> None:
        async with self.services.database.transaction(SYSTEM) as conn:
            await conn.execute(statement, *arguments)


@asynccontextmanager
async def hook_world(
    environment: Mapping[str, str], networks: str = NETWORKS, **settings: str
) -> AsyncIterator[HookWorld]:
    """A world whose events may go to this machine."""
    env = {**environment, "WAYPOST_WEBHOOK_ALLOWED_NETWORKS": networks, **settings}
    async with open_services(Settings.from_env(env)) as services, fake_provider() as fake:
        await services.redis.flushall()
        timeout_s = services.settings.delivery_send_timeout_s
        async with webhook_poster(Guard.of(networks), services.clock, timeout_s) as poster:
            org = await organisation(services)
            yield HookWorld(
                services, org, fake, webhook_sender_over(services, poster), webhook_dues_over(services)
            )  # fmt: skip
