import { expect, it } from 'vitest';
import { compass, coordinates, freshness, kmh, UNKNOWN } from './format';

it('says how old a position is, and that there is none', () => {
  expect(freshness(1_000, 5_000)).toBe('updated 4 s ago');
  expect(freshness(1, 125_000)).toBe('updated 2 min ago');
  expect(freshness(1_000, 3 * 3_600_000)).toBe('updated 2 h ago');
  expect(freshness(0, 125_000)).toBe('no position yet');
});

it('never shows the unknown as zero', () => {
  expect(kmh(undefined)).toBe(UNKNOWN);
  expect(kmh(null)).toBe(UNKNOWN);
  expect(kmh(0)).toBe('0');
  expect(compass(null)).toBe(UNKNOWN);
});

it('writes headings and coordinates', () => {
  expect(compass(359)).toBe('359° N');
  expect(compass(224)).toBe('224° SW');
  expect(coordinates(30.1, -97.123456)).toBe('30.10000, −97.12346');
});
