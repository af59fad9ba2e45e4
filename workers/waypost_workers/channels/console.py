"""The development channel: nothing leaves the machine. What was said is on the delivery's row, for `/dev/outbox`."""

from __future__ import annotations

from waypost.notifications.domain import Message, Outcome, OutcomeKind
from waypost.platform.telemetry import log


class Console:
    """One line in the log for each message, without its words."""

    provider = "console"

    async def send(self, message: Message) -> Outcome:
        log.info("notice", delivery_id=str(message.delivery_id), kind=message.kind, page="/dev/outbox")
        return Outcome(OutcomeKind.ACCEPTED, reference=str(message.delivery_id))
