"""What the promises of a batch say, and whom they mean: read before the transaction that keeps them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias
from uuid import UUID

import msgspec

from waypost.notifications.addresses import Contact
from waypost.notifications.domain import Notice, Waiting
from waypost.notifications.kinds import EVENTS, KINDS, Group, Kind
from waypost.notifications.making import Meant
from waypost.notifications.ports import Contacts

# What is meant; an error that is this row's alone; or None: an event, of which no person is told.
Read: TypeAlias = Meant | Exception | None
_NOTICE = msgspec.json.Decoder(Notice)


class UnknownKind(Exception):
    """An outbox row of a kind that this version does not know; a newer one will."""


class Said(NamedTuple):
    """A notice and its kind; ``org_id``: whose people are told."""

    kind: Kind
    notice: Notice
    org_id: UUID


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads a batch at once: those whom it means are looked up together."""

    contacts: Contacts

    async def read(self, rows: Sequence[Waiting]) -> dict[tuple[UUID, UUID], Read]:
        """By organisation and id of the row. ``Unavailable`` when nobody can be looked up now."""
        said = {(row.org_id, row.id): _said(row) for row in rows}
        notices = [one for one in said.values() if isinstance(one, Said)]
        customers = {(one.org_id, one.notice.customer_id) for one in notices if one.notice.customer_id is not None}
        staff = {(one.org_id, one.notice.user_id) for one in notices if one.notice.customer_id is None}
        known = await self.contacts.customers(customers) if customers else {}
        members = await self.contacts.staff(staff) if staff else {}
        return {key: _meant(one, known, members) if isinstance(one, Said) else one for key, one in said.items()}


def _said(row: Waiting) -> Said | Exception | None:
    if row.kind in EVENTS:
        return None
    kind = KINDS.get(row.kind)
    if kind is None:
        return UnknownKind()
    try:
        notice = _NOTICE.decode(row.payload)
    except msgspec.MsgspecError as error:
        return error
    nobody = notice.customer_id is None and notice.user_id is None
    return None if nobody and kind.group is not Group.STAFF else Said(kind, notice, notice.told_org_id or row.org_id)


def _meant(
    said: Said, customers: Mapping[tuple[UUID, UUID], Contact], members: Mapping[tuple[UUID, UUID], Contact]
) -> Meant:
    kind, notice, org_id = said
    if notice.customer_id is not None:
        return Meant(org_id, kind, notice, [(None, customers.get((org_id, notice.customer_id)))])
    if notice.user_id is not None:
        return Meant(org_id, kind, notice, [(notice.user_id, members.get((org_id, notice.user_id)))])
    in_charge = [(user_id, who) for (org, user_id), who in members.items() if org == org_id and who.role in kind.roles]
    return Meant(org_id, kind, notice, in_charge)
