import { expect, it } from 'vitest';
import type { Because, HeardBriefly } from './quality';
import {
  clockWords,
  dayWords,
  flagWords,
  longCause,
  plural,
  reasonWords,
  shortCause,
  trouble,
  span,
} from './words';

const NOON = new Date(2026, 10, 22, 12, 0).getTime();
const because = (code: string, more: Partial<Because> = {}): Because => ({
  code,
  detail: 'as the server says',
  ...more,
});
const heard = (more: Partial<HeardBriefly> = {}): HeardBriefly => ({
  deviceId: 'd',
  vehicleId: 'v',
  state: 'silent',
  silentSince: new Date(2026, 10, 22, 11, 4).toISOString(),
  because: because('battery', { battery: 4 }),
  ...more,
});

it('says since when and why, by the clock of who looks', () => {
  expect(trouble(heard(), NOON)).toBe('since 11:04, battery 4 %');
  expect(trouble(heard({ because: null }), NOON)).toBe('since 11:04');
});

it('says how late a device is', () => {
  const late = heard({ state: 'late', silentSince: null, because: because('network', { seconds: 90 }) });
  expect(trouble(late, NOON)).toBe('network, 90 s late');
});

it('says why a device that is heard of has no position yet', () => {
  const never = heard({ state: 'never', silentSince: null, because: because('no_gps') });
  expect(trouble(never, NOON)).toBe('no GPS');
  expect(trouble({ ...never, because: because('never_heard') }, NOON)).toBeUndefined();
});

it('says nothing of a device that is not silent, or unknown', () => {
  expect(trouble(heard({ state: 'parked', silentSince: null }), NOON)).toBeUndefined();
  expect(trouble(undefined, NOON)).toBeUndefined();
});

it('puts figures and names into causes', () => {
  expect(longCause(because('network', { seconds: 90 }))).toBe('Network: locations arrive 90 s late.');
  expect(longCause(because('clock_ahead', { seconds: 1_200 }))).toContain('is 20 min ahead');
  expect(longCause(because('clock_ahead'))).toContain('is ahead');
  expect(longCause(because('refused', { names: ['malformed', 'not_known_yet'] }))).toBe(
    'Its locations are refused: malformed, not known yet.',
  );
  expect(longCause(because('doubtful', { names: ['mock'] }))).toContain('mocked');
});

it('leaves a cause that it does not know to the server', () => {
  expect(longCause(because('new_cause'))).toBe('as the server says');
  expect(shortCause(because('new_cause'))).toBe('new cause');
});

it.each([
  [0, '0 gaps'],
  [1, '1 gap'],
  [2, '2 gaps'],
])('%d is %s', (value, words) => {
  expect(plural(value, 'gap')).toBe(words);
});

it.each([
  [89.6, '90 s'],
  [120, '2 min'],
  [7_200, '2 h'],
  [-172_800, '2 days'],
])('%d seconds are %s', (seconds, words) => {
  expect(span(seconds)).toBe(words);
});

it('calls a clock right that is right to the second', () => {
  expect([0.4, -1, 90, -1_200].map(clockWords)).toEqual(['right', 'right', '90 s ahead', '20 min behind']);
});

it('names days as the server counts them, in UTC', () => {
  const late = Date.parse('2026-11-22T23:30:00Z');
  expect(dayWords('2026-11-22', late)).toBe('Today');
  expect(dayWords('2026-11-21', late)).toMatch(/21/);
});

it('has words for every reason and flag, and for those to come', () => {
  expect(reasonWords('zero_island')).toBe('no fix (0,0)');
  expect(flagWords('clock_skew')).toBe('clock corrected');
  expect(reasonWords('wrong_key')).toBe('wrong key');
});
