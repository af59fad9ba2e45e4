import { effect, untracked } from '@preact/signals';
import { beforeEach, expect, it, vi } from 'vitest';
import type { Position, Trip } from '../api/types';
import { now } from '../ui/clock';
import { Fleet } from './fleet';

const NOON = Date.parse('2026-11-22T12:00:00Z');
const position = (vehicleId: string, more: Partial<Position> = {}): Position => ({
  vehicleId,
  deviceId: `phone of ${vehicleId}`,
  latitude: 30,
  longitude: -97,
  recordedAt: new Date(NOON).toISOString(),
  speed: 5,
  ...more,
});
const trip = (id: string, more: Partial<Trip> = {}): Trip => ({ id, status: 'started', version: 1, ...more });

beforeEach(() => {
  vi.useFakeTimers();
  now.value = NOON;
});

it('lists vehicles by name, with numbers in their order', () => {
  const fleet = new Fleet();
  const names = ['bus 10', 'bus 9', 'Agent'];
  fleet.reset(
    [],
    names.map((name) => position(name, { vehicleName: name })),
  );
  expect(fleet.rows.value.map((row) => row.name)).toEqual(['Agent', 'bus 9', 'bus 10']);
});

it('forgets vehicles that a later snapshot does not hold', () => {
  const fleet = new Fleet();
  fleet.reset([], [position('a'), position('b')]);
  fleet.reset([], [position('b')]);
  expect(fleet.rows.value.map((row) => row.id)).toEqual(['b']);
});

it('takes an older place from a later snapshot: what it knew was a jump', () => {
  const fleet = new Fleet();
  fleet.reset([], [position('a', { latitude: 31, recordedAt: new Date(NOON + 1_000).toISOString() })]);
  fleet.reset([], [position('a')]);
  expect(fleet.find('a')?.position?.latitude).toBe(30);
});

it('tells the page at most every 400 ms', () => {
  const fleet = new Fleet();
  fleet.reset([], [position('a')]);
  const stop = effect(() => void fleet.rows.value); // a page that looks on
  fleet.apply([position('a', { speed: 0, recordedAt: new Date(NOON + 100).toISOString() })]);
  expect(fleet.rows.value[0]?.state).toBe('moving');
  vi.advanceTimersByTime(400);
  expect(fleet.rows.value[0]?.state).toBe('stopped');
  stop();
});

it('counts a trip as running until it is completed, and never takes an older version', () => {
  const fleet = new Fleet();
  fleet.reset([trip('t1', { version: 3, reference: 'new' })], [position('a', { tripId: 't1' })]);
  fleet.applyTrip(trip('t1', { version: 2, reference: 'old' }));
  expect(fleet.find('a')?.trip?.reference).toBe('new');
  fleet.applyTrip(trip('t1', { version: 4, status: 'completed' }));
  expect(fleet.runningTrips.value).toBe(0);
  expect(fleet.find('a')?.trip).toBeUndefined();
});

it('shows a running trip whose vehicle was never heard of as silent', () => {
  const fleet = new Fleet();
  const unheard = trip('t2', { truckId: 'k2', truckName: 'Truck 2' });
  fleet.reset([trip('t1', { driverId: 'd1' }), unheard], [position('a', { driverId: 'd1' })]);
  expect(fleet.rows.value.map((row) => [row.id, row.state])).toEqual([
    ['a', 'moving'],
    ['k2', 'silent'],
  ]);
});

it('holds the rows of the snapshot by the time that it is ready', () => {
  const fleet = new Fleet();
  const seen: number[] = [];
  const stop = effect(() => {
    if (fleet.ready.value) seen.push(untracked(() => fleet.rows.value.length));
    else void fleet.rows.peek(); // an empty list is remembered
  });
  fleet.reset([], [position('a')]);
  expect(seen).toEqual([1]);
  stop();
});

it('expects more while a vehicle was moving when last heard of, however long ago that is', () => {
  const fleet = new Fleet();
  fleet.reset([], [position('a')]);
  now.value = NOON + 600_000;
  expect(fleet.isOnTheMove.value).toBe(true);
  fleet.reset([], [position('a', { speed: 0, recordedAt: new Date(NOON + 1_000).toISOString() })]);
  expect(fleet.isOnTheMove.value).toBe(false);
});

it('shows a vehicle of another organisation by its trip, and no longer than that', () => {
  const fleet = new Fleet();
  const coming = position('a', { tripId: 't1', deviceId: undefined });
  fleet.reset([trip('t1', { reference: 'JD-0001' })], [coming]);
  expect(fleet.find('a')?.name).toBe('JD-0001');
  fleet.applyTrip(trip('t1', { version: 2, status: 'completed' }));
  expect(fleet.rows.value).toEqual([]);
});
