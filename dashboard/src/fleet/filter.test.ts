import { expect, it } from 'vitest';
import { countByState, matching, NO_FILTER, searchWithView, viewFromSearch } from './filter';
import type { Row } from './vehicle';

const row = (name: string, state: Row['state'], reference?: string): Row => ({
  id: name,
  name,
  state,
  position: undefined,
  recordedAtMs: 0,
  speedMps: undefined,
  headingDeg: undefined,
  tripId: reference,
  trip: reference ? { id: reference, status: 'started', reference, driverName: 'Tendai Moyo' } : undefined,
});
const rows = [row('Van 1', 'moving', 'WP-7'), row('Van 2', 'stopped'), row('Truck 1', 'silent')];
const names = (some: Row[]) => some.map((each) => each.name);

it('finds rows that hold every word, in the vehicle or its trip', () => {
  expect(names(matching(rows, { ...NO_FILTER, query: ' van  ' }))).toEqual(['Van 1', 'Van 2']);
  expect(names(matching(rows, { ...NO_FILTER, query: 'moyo wp-7' }))).toEqual(['Van 1']);
  expect(names(matching(rows, { query: '1', state: 'silent' }))).toEqual(['Truck 1']);
});

it('counts each state', () => {
  expect(countByState(rows)).toEqual({ all: 3, moving: 1, stopped: 1, silent: 1 });
});

it('keeps a view in the address and reads it back, and leaves the rest of it alone', () => {
  const view = { query: 'a&b', state: 'stopped', vehicleId: 'v/1' } as const;
  const search = searchWithView('?lang=en', view);
  expect(search).toContain('lang=en');
  expect(viewFromSearch(search)).toEqual(view);
});

it('leaves a plain view out of the address, and takes nonsense for a plain view', () => {
  expect(searchWithView('?q=x&state=moving&vehicle=1', { ...NO_FILTER, vehicleId: undefined })).toBe('');
  expect(viewFromSearch('?state=flying').state).toBe('all');
});
