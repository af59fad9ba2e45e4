"""The part of the assembly that has to do with sending: what a worker does with a delivery."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from waypost.identity.rules import Rules
from waypost.kernel.clock import Clock
from waypost.notifications.breakers import Breakers
from waypost.notifications.choosing import Chooser
from waypost.notifications.consent.tokens import Tokens
from waypost.notifications.deciding import Accounts, Deciding
from waypost.notifications.deliveries import Deliveries
from waypost.notifications.domain import Pace
from waypost.notifications.finishing import Finishing
from waypost.notifications.ports import Channel, Checkpoint, Guard, pass_on
from waypost.notifications.spend import Spending
from waypost.notifications.throttles import Throttles
from waypost.notifications.unreadable import ToldAccounts
from waypost.notifications.words.service import Words
from waypost.platform.database import Database
from waypost.platform.limits import Limiter
from waypost.realtime.service import Publisher


@dataclass(frozen=True, slots=True)
class Sending:
    """What sending stands on. ``roll``: in [0, 1), of what is spread or drawn by lot."""

    database: Database
    clock: Clock
    publisher: Publisher
    limiter: Limiter
    rules: Rules
    accounts: Accounts
    words: Words
    tokens: Tokens
    guards: Mapping[str, Guard]
    pace: Pace
    roll: Callable[[], float] = random.random


def sending_over(on: Sending, channels: Mapping[str, Channel], checkpoint: Checkpoint = pass_on) -> Deliveries:
    """Assemble it; ``channels`` are the worker's, since no server may send."""
    throttles = Throttles(on.limiter, on.roll)
    chooser = Chooser(on.clock, Breakers(on.clock, on.pace.send_timeout_s), throttles, on.roll)
    spending = Spending(on.clock, on.publisher, on.roll)
    accounts = ToldAccounts(on.accounts, on.publisher, on.clock)
    return Deliveries(
        on.database,
        on.clock,
        on.publisher,
        channels,
        on.rules.of,
        Deciding(on.clock, on.guards, on.words, accounts, chooser, throttles, spending, channels.keys()),
        Finishing(on.database, on.clock, on.publisher, on.pace, spending, on.roll),
        on.tokens,
        on.pace,
        checkpoint,
    )
