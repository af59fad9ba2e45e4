"""Finishing the callbacks that nobody finished: after a crash, a lock, a wait for something else."""

from __future__ import annotations

from waypost.payments import storage_callbacks
from waypost.payments.callback_domain import STUCK
from waypost.payments.callback_work import CallbackWork
from waypost.payments.storage_callbacks import Due
from waypost.platform.sweeping import Sweep

WAIT_S, LONGEST_S = 2.0, 300.0  # before one that could not be finished is tried again; doubling


def callback_sweep(work: CallbackWork) -> Sweep[Due]:
    """Over all organisations."""
    return Sweep(
        "callback",
        work.database,
        work.clock,
        lambda conn, limit: storage_callbacks.due(conn, work.clock.now(), limit, WAIT_S, LONGEST_S),
        lambda row: work.finish(row.org_id, row.id),
        lambda row: work.tell_stuck(row.org_id, row.id, row.tries),
        STUCK,
    )
