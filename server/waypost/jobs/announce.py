"""`job:progress`: who asked for a job sees how far it is. On the way best effort; how it ended is promised."""

from __future__ import annotations

from waypost.jobs.domain import Job
from waypost.jobs.wire import JobProgress
from waypost.kernel.clock import Clock
from waypost.kernel.ids import new_id
from waypost.platform.database import Connection
from waypost.realtime.service import Publisher, user_room

NAME = "job:progress"


def progress(publisher: Publisher, clock: Clock, job: Job) -> None:
    """Tell how far it is; the next one heals what is lost."""
    publisher.publish(user_room(job.org_id, job.user_id), NAME, JobProgress.from_domain(job, new_id(clock)))


async def ended(conn: Connection, publisher: Publisher, clock: Clock, job: Job) -> None:
    """Promise, in the transaction that ends it, to tell how it ended."""
    event_id, room = new_id(clock), user_room(job.org_id, job.user_id)
    await publisher.promise(conn, job.org_id, room, NAME, JobProgress.from_domain(job, event_id), event_id)
