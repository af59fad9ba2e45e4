import { expect, it, vi } from 'vitest';
import { uuid, wishKeys } from './ids';

const V4 = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

it('makes a UUID also where the page did not come by https', () => {
  vi.stubGlobal('crypto', { getRandomValues: crypto.getRandomValues.bind(crypto) });
  expect(uuid()).toMatch(V4);
  vi.unstubAllGlobals();
  expect(uuid()).toMatch(V4);
});

it('keeps the key of a wish that is sent again, and gives another wish another one', () => {
  const keyFor = wishKeys();
  const first = keyFor({ name: 'Tendai' });
  expect(keyFor({ name: 'Tendai' })).toBe(first);
  expect(keyFor({ name: 'Tendai M.' })).not.toBe(first);
});
