import type { Maybe, Role } from '../api/types';
import { session } from './store';

export const ROLES: readonly Role[] = ['owner', 'dispatcher', 'accountant', 'viewer', 'driver'];

export const ROLE_NAMES: Record<Role, string> = {
  owner: 'Owner',
  dispatcher: 'Dispatcher',
  accountant: 'Accountant',
  viewer: 'Viewer',
  driver: 'Driver',
};

/** What somebody in that role can do, to choose by. */
export const ROLE_WORDS: Record<Role, string> = {
  owner: 'Everything, with members and settings.',
  dispatcher: 'Plans trips; manages drivers, trucks and devices.',
  accountant: 'Customers and money; sees every trip.',
  viewer: 'Sees the map and trips, changes nothing.',
  driver: 'Sees their own trips only.',
};

export function roleName(role: Maybe<string>): string {
  return ROLE_NAMES[role as Role] ?? role ?? '—';
}

const PLANNERS: readonly Maybe<Role>[] = ['owner', 'dispatcher'];

/** The server decides; this only keeps what it would refuse out of the way. */
export const mayManageMembers = () => session.value?.user.role === 'owner';
export const mayWatch = () => session.value?.user.role !== 'driver';
export const maySeeRegisters = () => PLANNERS.includes(session.value?.user.role);
