"""What clients are told of inboxes."""

from __future__ import annotations

from typing import Final

from waypost.notifications.inbox import wire
from waypost.realtime.catalogue import Hearers, Told

TOLD: Final = (
    Told(
        "inbox:changed",
        wire.InboxChanged,
        (Hearers.PERSON,),
        "Something came into your inbox, or you read it in another window: how many are unread, and the newest number.",
    ),
)
