import type { Answer } from '../api/http';
import type { Maybe, Role } from '../api/types';
import { call, callTagged } from '../session/call';

export interface Member {
  userId: string;
  name: string;
  phone?: Maybe<string>;
  email?: Maybe<string>;
  role: Role;
  createdAt: string;
  lastSeenAt?: Maybe<string>;
}

export interface Invitation {
  id: string;
  name: string;
  phone?: Maybe<string>;
  email?: Maybe<string>;
  role: Role;
  createdAt: string;
  expiresAt: string;
  invitedByName?: Maybe<string>;
}

/** The answer to a new invitation: the only one that holds its link. */
export interface Invited extends Invitation {
  url: string;
}

export interface NewInvitation {
  name: string;
  phone?: string;
  email?: string;
  role: Role;
}

export const MEMBERS_PATH = '/members';
export const INVITATIONS_PATH = '/invitations';

const memberPath = (userId: string) => `${MEMBERS_PATH}/${encodeURIComponent(userId)}`;

export function fetchMember(userId: string): Promise<Answer<Member>> {
  return callTagged('GET', memberPath(userId));
}

/** 412 `stale` when somebody changed the member after `etag` was read. */
export function changeRole(userId: string, role: Role, etag: string | undefined): Promise<Member> {
  return call('PATCH', memberPath(userId), { body: { role }, ifMatch: etag });
}

export function removeMember(userId: string): Promise<void> {
  return call('DELETE', memberPath(userId));
}

export function invite(wish: NewInvitation, idempotencyKey: string): Promise<Invited> {
  return call('POST', INVITATIONS_PATH, { body: wish, idempotencyKey });
}

export function withdrawInvitation(id: string): Promise<void> {
  return call('DELETE', `${INVITATIONS_PATH}/${encodeURIComponent(id)}`);
}
