import { expect, it } from 'vitest';
import type { Position } from '../api/types';
import { advance, stateOf } from './vehicle';

const NOON = Date.parse('2026-11-22T12:00:00Z');
const iso = (ms: number) => new Date(ms).toISOString();
const position = (more: Partial<Position> = {}): Position => ({
  vehicleId: 'v1',
  vehicleName: 'Van 1',
  latitude: 30.27,
  longitude: -97.74,
  recordedAt: iso(NOON),
  ...more,
});

it('never goes back: an older position leaves the vehicle as it is', () => {
  const vehicle = advance(undefined, position());
  expect(advance(vehicle, position({ recordedAt: iso(NOON - 1), latitude: 31 }))).toBe(vehicle);
});

it('goes back from a place that is taken back, and from no other', () => {
  const vehicle = advance(undefined, position({ latitude: 31 }));
  const back = position({ recordedAt: iso(NOON - 9), withdrawn: iso(NOON) });
  expect(advance(vehicle, back).position?.latitude).toBe(30.27);
  expect(advance(vehicle, { ...back, withdrawn: iso(NOON - 5) })).toBe(vehicle);
});

it('takes a speed of zero for what it is, and null for unknown', () => {
  expect(advance(undefined, position({ speed: 0 })).speedMps).toBe(0);
  expect(advance(undefined, position({ speed: null })).speedMps).toBeUndefined();
});

it('tells speed and heading from the last two fixes where the device does not', () => {
  const before = advance(undefined, position());
  const after = advance(before, position({ recordedAt: iso(NOON + 10_000), latitude: 30.271 }));
  expect(after.speedMps).toBeCloseTo(11.1, 1);
  expect(after.headingDeg).toBeCloseTo(0);
});

it('keeps the heading of a vehicle that stands still', () => {
  const before = { ...advance(undefined, position()), headingDeg: 90 };
  expect(advance(before, position({ recordedAt: iso(NOON + 1_000) })).headingDeg).toBe(90);
});

it('is silent without a fix for more than a minute, whatever its speed was', () => {
  const vehicle = advance(undefined, position({ speed: 20 }));
  expect(stateOf(vehicle, NOON + 60_000)).toBe('moving');
  expect(stateOf(vehicle, NOON + 60_001)).toBe('silent');
  expect(stateOf(advance(undefined, position({ speed: 0.4 })), NOON)).toBe('stopped');
});
