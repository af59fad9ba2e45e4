import { computed, signal } from '@preact/signals';

/**
 * Where in the dashboard we are.
 *
 * The page is in the fragment (`#/members`), since the server serves the dashboard at `/` alone; the fragment never
 * reaches the server, so an invitation's token is in no log. What the map shows stays in the query (`?vehicle=…`).
 */
export type Route =
  | { page: 'map' }
  | { page: 'members' }
  | { page: 'devices'; state: DeviceFilter }
  | { page: 'device'; id: string }
  | { page: 'invite'; token: string }
  | { page: 'unknown' };

export type PageName = Route['page'];
export type DeviceFilter = 'active' | 'revoked' | 'all';

const DEVICE_FILTERS: readonly DeviceFilter[] = ['active', 'revoked', 'all'];

export const PAGE_TITLES: Record<PageName, string> = {
  map: 'Live map',
  members: 'Members',
  devices: 'Devices',
  device: 'Device',
  invite: 'Invitation',
  unknown: 'No such page',
};

export function parseRoute(hash: string): Route {
  const [path = '', query = ''] = hash.replace(/^#\/?/, '').split('?');
  const [page, ...rest] = path.split('/');
  if (!page) return { page: 'map' };
  if (page === 'invite' && rest.length === 1 && rest[0]) return { page, token: decoded(rest[0]) };
  if (page === 'devices' && rest.length === 1 && rest[0]) return { page: 'device', id: decoded(rest[0]) };
  if (rest.length > 0) return { page: 'unknown' };
  if (page === 'members') return { page };
  if (page === 'devices') {
    const state = new URLSearchParams(query).get('state');
    return { page, state: DEVICE_FILTERS.find((each) => each === state) ?? 'active' };
  }
  return { page: 'unknown' };
}

export const route = signal<Route>(parseRoute(location.hash));
export const isMapShown = computed(() => route.value.page === 'map');

addEventListener('hashchange', () => (route.value = parseRoute(location.hash)));

/** Go to `#/…` without a step in the history: filters, and pages that one must not come back to. */
export function replaceRoute(hash: string): void {
  history.replaceState(null, '', location.pathname + location.search + hash);
  route.value = parseRoute(hash);
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part; // not ours, then: the server will not know it
  }
}
