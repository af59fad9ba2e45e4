"""HTTP edge of the organisation, its members, its invitations and its audit log."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
from aiohttp import web

from waypost.identity import wire, wire_members
from waypost.identity.audit import AUDITORS, Audit
from waypost.identity.domain import (
    AlreadyMember,
    BadCredentials,
    InvitationNotFound,
    LastOwner,
    Member,
    MemberNotFound,
    OrganisationNotFound,
)
from waypost.identity.http import AUTH, caller_of
from waypost.identity.invitations import Invitations
from waypost.identity.members import OWNERS, Members, Organisations
from waypost.identity.passwords import SignInBusy
from waypost.kernel.errors import Stale
from waypost.kernel.principal import PLANNERS, WATCHERS
from waypost.platform.addresses import public_root
from waypost.platform.queries import PageQuery
from waypost.platform.routes import Cache, Route
from waypost.platform.web import (
    PRINCIPAL,
    if_match,
    path_id,
    read_body,
    read_query,
    reply,
    reply_page,
    reply_versioned,
)

API = "/api/v1"


@dataclass(frozen=True, slots=True)
class OrganisationRoutes:
    """The organisation's own row, and who did what in it."""

    organisations: Organisations
    audit: Audit

    def routes(self) -> list[Route]:
        return [
            Route("GET", API + "/org", self.get_org, answer=wire_members.Org, roles=WATCHERS, cache=Cache.PRIVATE,
                  errors=(OrganisationNotFound,), versioned=True),
            Route("PATCH", API + "/org", self.change_org, answer=wire_members.Org, body=wire_members.OrgChange,
                  roles=OWNERS, errors=(OrganisationNotFound, Stale), versioned=True),
            Route("GET", API + "/audit", self.list_audit, answer=wire_members.AuditEntry, listing=True,
                  query=wire_members.AuditQuery, roles=AUDITORS, cache=Cache.PRIVATE),
        ]  # fmt: skip

    async def get_org(self, request: web.Request) -> web.Response:
        """Your organisation."""
        org = await self.organisations.find(request[PRINCIPAL])
        return reply_versioned(wire_members.Org.from_domain(org), org.version)

    async def change_org(self, request: web.Request) -> web.Response:
        """Change its name, time zone, what it takes for a plausible fix, or how it sells."""
        body, expected = await read_body(request, wire_members.OrgChange), if_match(request)
        org = await self.organisations.change(
            request[PRINCIPAL],
            name=body.name,
            time_zone=body.time_zone,
            tracking=body.tracking.given(),
            selling=body.selling.given(),
            telling=body.telling.given(),
            expected=expected,
        )
        return reply_versioned(wire_members.Org.from_domain(org), org.version)

    async def list_audit(self, request: web.Request) -> web.Response:
        """Who did what, newest first."""
        query = read_query(request, wire_members.AuditQuery)
        page = await self.audit.entries(
            request[PRINCIPAL], query.limit, query.cursor, subject_id=query.subject_id, action=query.action
        )
        return reply_page(request, page, wire_members.AuditEntry.from_domain)


@dataclass(frozen=True, slots=True)
class MemberRoutes:
    """Who belongs to the organisation."""

    members: Members

    def routes(self) -> list[Route]:
        one = API + "/members/{user_id}"
        return [
            Route("GET", API + "/members", self.list_members, answer=wire_members.Member, listing=True,
                  query=wire_members.MembersQuery, roles=PLANNERS, cache=Cache.PRIVATE),
            Route("GET", one, self.get_member, answer=wire_members.Member, roles=PLANNERS, errors=(MemberNotFound,),
                  cache=Cache.PRIVATE, versioned=True),
            Route("PATCH", one, self.change_member, answer=wire_members.Member, body=wire_members.MemberChange,
                  roles=OWNERS, errors=(MemberNotFound, LastOwner), versioned=True),
            Route("DELETE", one, self.remove_member, status=204, roles=OWNERS, errors=(MemberNotFound, LastOwner)),
        ]  # fmt: skip

    async def list_members(self, request: web.Request) -> web.Response:
        """Who belongs to your organisation."""
        query = read_query(request, wire_members.MembersQuery)
        page = await self.members.list(request[PRINCIPAL], query.limit, query.cursor, role=query.role, text=query.q)
        return reply_page(request, page, wire_members.Member.from_domain)

    async def get_member(self, request: web.Request) -> web.Response:
        """One member."""
        return _reply(await self.members.find(request[PRINCIPAL], path_id(request, "user_id", MemberNotFound)))

    async def change_member(self, request: web.Request) -> web.Response:
        """Give a member another role; it acts within five seconds."""
        user_id = path_id(request, "user_id", MemberNotFound)
        body, expected = await read_body(request, wire_members.MemberChange), if_match(request)
        role = None if body.role is msgspec.UNSET else body.role
        return _reply(await self.members.set_role(request[PRINCIPAL], user_id, role, expected=expected))

    async def remove_member(self, request: web.Request) -> web.Response:
        """Remove a member; they are signed out within five seconds."""
        await self.members.remove(request[PRINCIPAL], path_id(request, "user_id", MemberNotFound))
        return web.Response(status=204, headers={"Cache-Control": "no-store"})


@dataclass(frozen=True, slots=True)
class InvitationRoutes:
    """``public_url``: where people reach us; None: where this request did."""

    invitations: Invitations
    public_url: str | None

    def routes(self) -> list[Route]:
        shown = wire_members.Invitation
        return [
            Route("GET", API + "/invitations", self.list_invitations, answer=shown, listing=True, query=PageQuery,
                  roles=PLANNERS, cache=Cache.PRIVATE),
            Route("POST", API + "/invitations", self.invite, status=201, answer=shown,
                  body=wire_members.NewInvitation, roles=OWNERS, errors=(AlreadyMember,), idempotent=True, costly=True),
            Route("DELETE", API + "/invitations/{invitation_id}", self.withdraw, status=204, roles=OWNERS,
                  errors=(InvitationNotFound,)),
            Route("POST", AUTH + "/invitations/look", self.look, answer=wire_members.InvitationSeen,
                  body=wire_members.InvitationToken, public=True, errors=(InvitationNotFound,)),
            Route("POST", AUTH + "/invitations/accept", self.accept, answer=wire.SignedIn,
                  body=wire_members.Acceptance, public=True,
                  errors=(InvitationNotFound, BadCredentials, AlreadyMember, SignInBusy)),
        ]  # fmt: skip

    async def list_invitations(self, request: web.Request) -> web.Response:
        """The invitations that wait."""
        query = read_query(request, PageQuery)
        page = await self.invitations.list(request[PRINCIPAL], query.limit, query.cursor)
        return reply_page(request, page, wire_members.Invitation.from_domain)

    async def invite(self, request: web.Request) -> web.Response:
        """Invite somebody; the token and the address with it are in this answer and in no later one."""
        body = await read_body(request, wire_members.NewInvitation)
        invitation, token = await self.invitations.invite(
            request[PRINCIPAL], name=body.name, role=body.role, phone=body.phone, email=body.email
        )
        url = f"{self.public_url or public_root(request)}/#/invite/{token}"
        return reply(wire_members.Invitation.from_domain(invitation, token, url), status=201)

    async def withdraw(self, request: web.Request) -> web.Response:
        """Withdraw an invitation that waits."""
        await self.invitations.withdraw(request[PRINCIPAL], path_id(request, "invitation_id", InvitationNotFound))
        return web.Response(status=204, headers={"Cache-Control": "no-store"})

    async def look(self, request: web.Request) -> web.Response:
        """What an invitation is for. Whether its address has an account is told to nobody."""
        body = await read_body(request, wire_members.InvitationToken)
        found = await self.invitations.look(body.token, caller_of(request))
        return reply(wire_members.InvitationSeen(found.org_name, found.name, found.role))

    async def accept(self, request: web.Request) -> web.Response:
        """Accept an invitation, once; you are a member then, and signed in."""
        body = await read_body(request, wire_members.Acceptance)
        signed_in = await self.invitations.accept(
            body.token, name=body.name, password=body.password, caller=caller_of(request)
        )
        return reply(wire.SignedIn.from_domain(signed_in))


def _reply(member: Member) -> web.Response:
    return reply_versioned(wire_members.Member.from_domain(member), member.version)
