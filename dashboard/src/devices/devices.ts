import type { Answer } from '../api/http';
import type { Maybe, Page } from '../api/types';
import type { DeviceFilter } from '../nav/route';
import { call, callTagged, get } from '../session/call';
import type { Choice } from '../ui/Combobox';

export interface Device {
  id: string;
  name: string;
  driverId: string;
  driverName?: Maybe<string>;
  truckId?: Maybe<string>;
  truckName?: Maybe<string>;
  createdAt: string;
  revokedAt?: Maybe<string>;
  lastSeenAt?: Maybe<string>;
  /** Until when the token before this one is still taken. */
  oldTokenUntil?: Maybe<string>;
}

/** The answer that holds a token: to a new device, or a new token. It is given once. */
export interface Given extends Device {
  token: string;
  setup: { url: string; text: string };
}

export interface Assignment {
  driverId: string;
  /** Null: in no truck. */
  truckId: string | null;
}

export const devicesPath = (filter: DeviceFilter) =>
  filter === 'all' ? '/devices' : `/devices?state=${filter}`;
const devicePath = (id: string) => `/devices/${encodeURIComponent(id)}`;

export function fetchDevice(id: string): Promise<Answer<Device>> {
  return callTagged('GET', devicePath(id));
}

export function giveDevice(wish: Assignment & { name: string }, idempotencyKey: string): Promise<Given> {
  return call('POST', '/devices', { body: wish, idempotencyKey });
}

/** 412 `stale` when somebody changed the device after `etag` was read. */
export function moveDevice(id: string, to: Assignment, etag: string | undefined): Promise<Device> {
  return call('PATCH', devicePath(id), { body: to, ifMatch: etag });
}

export function withdrawDevice(id: string): Promise<Device> {
  return call('POST', `${devicePath(id)}/revoke`);
}

export function renewToken(id: string, idempotencyKey: string): Promise<Given> {
  return call('POST', `${devicePath(id)}/token`, { idempotencyKey });
}

/** The registers that a device is given from. */
export const drivers = register('/drivers');
export const trucks = register('/trucks');

const CHOICES = 8;

function register(path: string) {
  return {
    search: async (query: string, signal: AbortSignal): Promise<Choice[]> => {
      const params = new URLSearchParams({ limit: String(CHOICES), ...(query && { q: query }) });
      const { data } = await get<Page<Choice>>(`${path}?${params}`, { signal });
      return data.map(({ id, name }) => ({ id, name }));
    },
    add: async (name: string, idempotencyKey: string): Promise<Choice> => {
      const { id } = await call<Choice>('POST', path, { body: { name }, idempotencyKey });
      return { id, name };
    },
  };
}
