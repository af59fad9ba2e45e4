import { expect, it } from 'vitest';
import { parseRoute } from './route';

it.each([
  ['', { page: 'map' }],
  ['#/', { page: 'map' }],
  ['#/members', { page: 'members' }],
  ['#/devices', { page: 'devices', state: 'active' }],
  ['#/devices?state=revoked', { page: 'devices', state: 'revoked' }],
  ['#/devices?state=broken', { page: 'devices', state: 'active' }],
  ['#/devices/01a2-b', { page: 'device', id: '01a2-b' }],
  ['#/devices/01a2/b', { page: 'unknown' }],
  ['#/invite/wpi_a%2Fb', { page: 'invite', token: 'wpi_a/b' }],
  ['#/invite', { page: 'unknown' }],
  ['#/members/7', { page: 'unknown' }],
  ['#/nothing', { page: 'unknown' }],
])('%j leads to %j', (hash, route) => {
  expect(parseRoute(hash)).toEqual(route);
});
