import { request } from '../api/http';
import type { Role } from '../api/types';
import type { SignedIn } from '../session/store';

/** What an invitation's link tells whoever holds it. */
export interface Look {
  orgName: string;
  name: string;
  role: Role;
}

/** 404 `invitation-not-found`: unknown, used, run out or withdrawn. */
export function look(token: string): Promise<Look> {
  return request('POST', '/auth/invitations/look', { body: { token } });
}

/** 401 `bad-credentials`: the address has an account already, and this is not its password. */
export function accept(token: string, name: string, password: string): Promise<SignedIn> {
  return request('POST', '/auth/invitations/accept', { body: { token, name, password } });
}
