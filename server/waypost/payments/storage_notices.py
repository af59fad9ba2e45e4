"""SQL of what a notice about money is held against when it is sent."""

from __future__ import annotations

from uuid import UUID

from waypost.platform.database import Connection

PROMPT_IS_PAID = "SELECT state = 'paid' FROM prompts WHERE org_id = $1 AND id = $2"


async def is_paid(conn: Connection, org_id: UUID, prompt_id: UUID) -> bool:
    """Did a prompt lead to money after all?"""
    return bool(await conn.fetchval(PROMPT_IS_PAID, org_id, prompt_id))
