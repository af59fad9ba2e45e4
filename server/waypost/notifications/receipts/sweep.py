"""Finishing the receipts that nobody finished: after a crash, a lock, or where they came before what they are about."""

from __future__ import annotations

from typing import Final

from waypost.notifications.receipts import storage
from waypost.notifications.receipts.storage import Due
from waypost.notifications.receipts.work import ReceiptWork
from waypost.platform.sweeping import Sweep

WAIT_S, LONGEST_S = 2.0, 60.0  # before one that could not be finished is tried again; doubling
STUCK: Final = 8  # tries that ran into something, after which staff are told


def receipt_sweep(work: ReceiptWork) -> Sweep[Due]:
    """Over all organisations."""
    return Sweep(
        "receipt",
        work.database,
        work.clock,
        lambda conn, limit: storage.due(conn, work.clock.now(), limit, WAIT_S, LONGEST_S),
        lambda row: work.finish(row.org_id, row.id),
        lambda row: work.tell_stuck(row.org_id, row.id, row.tries),
        STUCK,
    )
