"""The development channel: nothing leaves the machine. What was said is on the delivery's row, for `/dev/outbox`."""

from __future__ import annotations

from waypost.notifications.domain import Message
from waypost.notifications.states import Outcome, OutcomeKind


class Console:
    """Takes everything. Its line in the log is the delivery's own (`delivery_sent`, `channel=console`)."""

    provider = "console"

    async def send(self, message: Message) -> Outcome:
        """At once, and always."""
        return Outcome(OutcomeKind.ACCEPTED, reference=str(message.delivery_id))
