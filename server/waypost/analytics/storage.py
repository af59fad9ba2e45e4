"""SQL of the figures: one statement over one snapshot, one pass over an organisation's laybys."""

from __future__ import annotations

from datetime import date
from uuid import UUID

from waypost.analytics.domain import AGES, Row, Span
from waypost.platform.database import Connection

# A moment's step: the first day of its day, week or month, but no day before the span's first. $5: the step's name.
_STEP = "greatest(date_trunc($5, {at} AT TIME ZONE $4)::date, $6)::text"


def _part(name: str, at: str, amount: str, more: str = "0") -> str:
    return f"""
SELECT '{name}', currency, {_STEP.format(at=at)}, count(*), coalesce(sum({amount}), 0), coalesce(sum({more}), 0), 0
  FROM mine WHERE {at} >= $2 AND {at} < $3 GROUP BY 2, 3
"""  # noqa: S608


# $1 organisation, $2 and $3 the span's moments, $4 time zone, $7 today there.
FIGURES = f"""
WITH mine AS MATERIALIZED (
    SELECT id, currency, status, items_minor + service_fee_minor + admin_fee_minor AS price, late_fees_minor,
           balance_minor, paid_minor, deposit_minor, refund_due_minor, next_due_date,
           created_at, completed_at, cancelled_at, defaulted_at
      FROM laybys WHERE org_id = $1),
late AS (
    SELECT m.currency, width_bucket($7 - m.next_due_date - 1, ARRAY[{", ".join(map(str, AGES))}]) AS age,
           greatest(0, d.due - greatest(0, m.paid_minor - m.deposit_minor)) AS open
      FROM mine m
     CROSS JOIN LATERAL (SELECT coalesce(sum(i.amount_minor), 0) AS due FROM layby_instalments i
                          WHERE i.org_id = $1 AND i.layby_id = m.id AND i.due_date < $7) d
     WHERE m.status = 'active' AND m.next_due_date < $7)
SELECT 'status' AS part, currency, status AS word, count(*) AS count, sum(price + late_fees_minor) AS amount,
       sum(balance_minor) AS more, sum(paid_minor) AS third
  FROM mine GROUP BY 2, 3
UNION ALL
SELECT 'late', currency, age::text, count(*), sum(open), 0, 0 FROM late GROUP BY 2, 3
UNION ALL
SELECT 'done', currency, '', count(*), coalesce(sum(extract(epoch FROM completed_at - created_at)), 0)::bigint, 0, 0
  FROM mine WHERE status = 'completed' GROUP BY 2
UNION ALL
SELECT 'ended', currency, '', count(*), 0, 0, count(*) FILTER (WHERE defaulted_at IS NOT NULL)
  FROM mine WHERE status IN ('cancelled', 'defaulted') GROUP BY 2
UNION ALL
SELECT 'refunds', currency, '', count(*), sum(refund_due_minor), 0, 0 FROM mine WHERE refund_due_minor > 0 GROUP BY 2
UNION ALL {_part("created", "created_at", "price")}
UNION ALL {_part("completed", "completed_at", "price + late_fees_minor")}
UNION ALL {_part("cancelled", "cancelled_at", "price + late_fees_minor", "paid_minor - refund_due_minor")}
UNION ALL {_part("defaulted", "defaulted_at", "price")}
UNION ALL
SELECT 'paid', currency, {_STEP.format(at="paid_at")}, count(*), sum(amount_minor), 0, 0
  FROM payments WHERE org_id = $1 AND paid_at >= $2 AND paid_at < $3 AND amount_minor <> 0 GROUP BY 2, 3
"""  # noqa: S608


async def figures(conn: Connection, org_id: UUID, span: Span, today: date) -> list[Row]:
    """Sums by group; ``today``: the organisation's."""
    rows = await conn.fetch(FIGURES, org_id, span.since, span.until, span.zone.key, str(span.step), span.first, today)
    return [Row(r[0], r[1], r[2], r[3], int(r[4]), int(r[5]), int(r[6])) for r in rows]
