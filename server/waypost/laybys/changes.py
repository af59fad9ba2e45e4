"""What staff do to the time of a layby: hold and go on, more of it, the way back; and a note."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from uuid import UUID

from waypost.identity import audit
from waypost.kernel.errors import Conflict
from waypost.kernel.principal import Principal
from waypost.laybys import dates, desk, domain, notices, record, storage
from waypost.laybys.desk import Desk
from waypost.laybys.domain import Move, Status
from waypost.laybys.ports import ApplyCredit
from waypost.laybys.storage_read import Whole


class NoMoreExtensions(Conflict):
    """It was extended as often as its rules allow."""

    code = "layby-extensions-used"


class WindowClosed(Conflict):
    """The time in which it may be reinstated is over."""

    code = "layby-window-closed"


@dataclass(frozen=True, slots=True)
class Changes:
    """Every method is for staff who take money; gives the layby whole, as it is then.

    ``expected``: the version that the caller has seen. ``LaybyMoveRefused`` names the present status.
    """

    desk: Desk
    credit: ApplyCredit

    async def hold(
        self, principal: Principal, layby_id: UUID, reason: str | None, *, expected: int | None = None
    ) -> Whole:
        """Its clock stops: nothing falls due."""
        today, ground = await self.desk.today(principal.org_id), self.desk.ground
        async with self.desk.locked(principal, layby_id, Move.HOLD, expected) as (conn, layby):
            after = replace(layby, status=Status.ON_HOLD, held_since=today)
            after = await record.saved(ground, conn, layby, after)
            await record.notify(ground, conn, after, notices.on_hold(after))
            await record.happened(ground, conn, after, "on_hold", _why(reason), principal)
            return await desk.whole(conn, principal.org_id, layby_id)

    async def reactivate(
        self, principal: Principal, layby_id: UUID, reason: str | None, *, expected: int | None = None
    ) -> Whole:
        """It goes on: open dates are later by the days on hold, and waiting credit is used."""
        today, ground = await self.desk.today(principal.org_id), self.desk.ground
        async with self.desk.locked(principal, layby_id, Move.REACTIVATE, expected) as (conn, layby):
            days = max(0, (today - (layby.held_since or today)).days)
            after = replace(dates.later(layby, days), status=Status.ACTIVE, held_since=None)
            await storage.move_dates(conn, layby, dates.differing(layby, after))
            after = await record.saved(ground, conn, layby, after)
            await record.notify(ground, conn, after, notices.reactivated(after))
            data = {**_why(reason), "days": days, **dates.said(layby, after)}
            await record.happened(ground, conn, after, "reactivated", data, principal)
            await self.credit(ground, conn, after, today, actor=principal)
            return await desk.whole(conn, principal.org_id, layby_id)

    async def extend(
        self,
        principal: Principal,
        layby_id: UUID,
        reason: str,
        *,
        days: int | None = None,
        to: Sequence[date] = (),
        expected: int | None = None,
    ) -> Whole:
        """More time: every open date later by ``days``, or each as ``to`` says. Counted; ``NoMoreExtensions``."""
        today, ground = await self.desk.today(principal.org_id), self.desk.ground
        async with self.desk.locked(principal, layby_id, Move.EXTEND, expected) as (conn, layby):
            if layby.extensions >= layby.terms.rules.extensions:
                raise NoMoreExtensions(f"It was extended {layby.extensions} times; its rules allow no more.")
            after = replace(dates.extended(layby, days, to, today), extensions=layby.extensions + 1)
            await storage.move_dates(conn, layby, dates.differing(layby, after))
            after = await record.saved(ground, conn, layby, after)
            await record.notify(ground, conn, after, notices.extended(after))
            data = {"reason": reason, "extension": after.extensions, **dates.said(layby, after)}
            await record.happened(ground, conn, after, "extended", data, principal)
            return await desk.whole(conn, principal.org_id, layby_id)

    async def reinstate(
        self,
        principal: Principal,
        layby_id: UUID,
        reason: str,
        *,
        days: int | None = None,
        expected: int | None = None,
    ) -> Whole:
        """The way back from a default, within its window: open dates are later by ``days``; None: so that the oldest is
        today. ``WindowClosed``.
        """
        today, ground = await self.desk.today(principal.org_id), self.desk.ground
        async with self.desk.locked(principal, layby_id, Move.REINSTATE, expected) as (conn, layby):
            if not domain.may_reinstate(layby, today):
                raise WindowClosed
            by = dates.behind(layby, today) if days is None else days
            after = replace(dates.later(layby, by), status=Status.ACTIVE, defaulted_at=None, reinstate_until=None)
            await storage.move_dates(conn, layby, dates.differing(layby, after))
            after = await record.saved(ground, conn, layby, after)
            await record.notify(ground, conn, after, notices.reinstated(after))
            data = {"by": "staff", "reason": reason, "days": by, **dates.said(layby, after)}
            await record.happened(ground, conn, after, "reinstated", data, principal)
            await audit.record(
                conn, principal, ground.clock, action="layby.reinstated", subject_kind="layby", subject_id=layby_id,
                why=reason,
            )  # fmt: skip
            return await desk.whole(conn, principal.org_id, layby_id)

    async def seen(self, principal: Principal, layby_id: UUID, expected: int | None) -> Whole:
        """The layby as it is, if it may be changed and is the version that the caller has seen."""
        async with self.desk.locked(principal, layby_id, Move.CHANGE, expected) as (conn, _):
            return await desk.whole(conn, principal.org_id, layby_id)

    async def note(
        self, principal: Principal, layby_id: UUID, text: str | None, *, expected: int | None = None
    ) -> Whole:
        """Change what staff have written of it."""
        ground = self.desk.ground
        async with self.desk.locked(principal, layby_id, Move.CHANGE, expected) as (conn, layby):
            after = await record.saved(ground, conn, layby, replace(layby, note=text or None))
            await record.happened(ground, conn, after, "changed", {"fields": ["note"]}, principal)
            return await desk.whole(conn, principal.org_id, layby_id)


def _why(reason: str | None) -> Mapping[str, object]:
    return {"reason": reason} if reason else {}
