"""The part of the assembly that has to do with telling: notices, and what subscribers hear.

Who adds a use case: build it in ``telling_over`` from the ``Footing``, and give it a field of ``Telling``.
"""

from __future__ import annotations

from dataclasses import dataclass

from waypost.identity.rules import Rules
from waypost.jobs.domain import Job
from waypost.jobs.ports import Done
from waypost.kernel.clock import Clock
from waypost.notifications import outbox
from waypost.notifications.consent.ports import FindCustomer
from waypost.notifications.consent.service import Preferences, Suppressions
from waypost.notifications.consent.stopping import Stopping
from waypost.notifications.consent.tokens import Tokens
from waypost.notifications.digests import Digests
from waypost.notifications.domain import Notice
from waypost.notifications.inbox.service import Inbox
from waypost.notifications.kinds import EXPORT_READY
from waypost.notifications.not_arriving import ArrivalWatch
from waypost.notifications.opting_out import OptOutWatch
from waypost.notifications.ports import EventSink
from waypost.notifications.provider_trials import ProviderTrials
from waypost.notifications.providers_register import MessageProviders
from waypost.notifications.push.keys import VapidKeys
from waypost.notifications.push.service import PushBook
from waypost.notifications.receipts.arrivals import Receipts
from waypost.notifications.receipts.doors import Doors
from waypost.notifications.receipts.readers import READERS
from waypost.notifications.receipts.service import Heard
from waypost.notifications.receipts.storage import Due as DueReceipt
from waypost.notifications.receipts.sweep import receipt_sweep
from waypost.notifications.receipts.work import ReceiptWork
from waypost.notifications.render import renderer
from waypost.notifications.words.desk import TemplateDesk
from waypost.platform.database import Connection, Database
from waypost.platform.guarded import Guard
from waypost.platform.limits import Limiter
from waypost.platform.secretbox import SecretBox
from waypost.platform.sweeping import Sweep
from waypost.realtime.service import Publisher
from waypost.settings import Settings
from waypost.webhooks.alarms import Alarms
from waypost.webhooks.events import take_all
from waypost.webhooks.log import WebhookLog
from waypost.webhooks.register import Webhooks


@dataclass(frozen=True, slots=True, repr=False)  # it would go through the whole house
class Footing:
    """What all of them stand on."""

    settings: Settings
    database: Database
    clock: Clock
    publisher: Publisher
    rules: Rules
    box: SecretBox
    limiter: Limiter
    signing_key: str
    find_customer: FindCustomer


@dataclass(frozen=True, slots=True, repr=False)  # it would go through the whole house
class Telling:
    """The use cases of telling."""

    inbox: Inbox
    tokens: Tokens
    preferences: Preferences
    suppressions: Suppressions
    stopping: Stopping
    receipt_work: ReceiptWork
    receipt_sweep: Sweep[DueReceipt]
    receipts: Receipts
    heard: Heard
    digests: Digests
    opt_outs: OptOutWatch
    arrivals: ArrivalWatch
    event_sink: EventSink
    webhooks: Webhooks
    webhook_log: WebhookLog
    push: PushBook
    providers: MessageProviders
    provider_trials: ProviderTrials
    templates: TemplateDesk


def telling_over(ground: Footing) -> Telling:
    """Assemble them."""
    database, clock, publisher = ground.database, ground.clock, ground.publisher
    guard = Guard.of(ground.settings.webhook_allowed_networks)
    webhooks = Webhooks(database, clock, ground.box, guard, Alarms(publisher, clock))
    tokens = Tokens.of(ground.settings.public_url, ground.signing_key)
    providers = MessageProviders.over(database, clock, publisher, ground.box, guard.complaint)
    doors = Doors(providers, tokens)
    work = ReceiptWork(database, clock, publisher, doors, ground.rules, READERS)
    return Telling(
        providers=providers,
        provider_trials=ProviderTrials(database, clock, providers, ground.rules),
        templates=TemplateDesk(database, clock, renderer(), providers.of),
        inbox=Inbox(database, clock, publisher),
        tokens=tokens,
        preferences=Preferences(database, clock),
        suppressions=Suppressions(database, clock),
        stopping=Stopping(database, clock, tokens, ground.find_customer, ground.rules),
        receipt_work=work,
        receipt_sweep=receipt_sweep(work),
        receipts=Receipts(database, clock, work.doors, work),
        heard=Heard(database),
        digests=Digests(database, clock, ground.rules),
        opt_outs=OptOutWatch(database, clock, publisher, ground.rules),
        arrivals=ArrivalWatch(database, clock, publisher, ground.rules),
        event_sink=take_all,
        webhooks=webhooks,
        webhook_log=WebhookLog(webhooks),
        push=PushBook(database, clock, ground.box, _vapid(ground), guard),
    )


def _vapid(ground: Footing) -> VapidKeys:
    """By which key this installation pushes, and where push services reach its operator."""
    settings = ground.settings
    url, sender = settings.public_url, settings.smtp_from
    subject = url if url is not None and url.startswith("https://") else f"mailto:{sender or 'operator@localhost'}"
    return VapidKeys(ground.database, ground.clock, ground.box, subject)


def export_ready(clock: Clock) -> Done:
    """Who asked for an export or a report is told that it is there, in the transaction that says so."""

    async def tell(conn: Connection, job: Job) -> None:
        until = job.expires_at.date().isoformat() if job.expires_at is not None else ""
        facts = {"export": job.file_name or job.kind, "until": until}
        notice = Notice(None, "job", job.id, facts, user_id=job.user_id)
        await outbox.add(conn, job.org_id, kind=EXPORT_READY, key=f"job:{job.id}:done", payload=notice, clock=clock)

    return tell
