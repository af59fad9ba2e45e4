import { cleanup, render, screen } from '@testing-library/preact';
import { afterEach, expect, it } from 'vitest';
import type { Location, TripEvent } from '../api/types';
import { linePoints, Sparkline, speedPoints } from './Sparkline';
import { changesText, humanise } from './Timeline';
import { mergeEvents, mergeFixes } from './trip-detail';

afterEach(cleanup);

const NOON = Date.parse('2026-11-22T12:00:00Z');
const fix = (second: number, speed?: number | null): Location => ({
  latitude: 30,
  longitude: -97,
  recordedAt: new Date(NOON + second * 1_000).toISOString(),
  speed,
});
const event = (eventId: string, second: number): TripEvent => ({
  eventId,
  tripId: 't',
  kind: 'started',
  at: new Date(NOON + second * 1_000).toISOString(),
});

it('holds an event once, however many ways it came, newest first', () => {
  const merged = mergeEvents([event('b', 2)], [event('a', 1), event('b', 2)]);
  expect(merged.map((each) => each.eventId)).toEqual(['b', 'a']);
});

it('puts late fixes at their place', () => {
  const merged = mergeFixes([fix(2), fix(1)], [fix(3), fix(1)]);
  expect(merged.map((each) => each.recordedAt.slice(17, 19))).toEqual(['01', '02', '03']);
});

it('takes a speed that was not reported from the move, and none where there is no move to take it from', () => {
  expect(speedPoints([fix(0, null), fix(1, 10)])).toEqual([{ atMs: NOON + 1_000, kmh: 36 }]);
  const north = { ...fix(10), latitude: 30.001 };
  expect(speedPoints([fix(0, 10), north])[1]?.kmh).toBeCloseTo(40, 0);
});

it('draws time from left to right and speed upwards', () => {
  expect(linePoints(speedPoints([fix(0, 0), fix(10, 10)]), 36).map(([, y]) => y)).toEqual([48, 4]);
});

it('describes the sparkline in words', () => {
  render(<Sparkline fixes={[fix(0, 5), fix(90, 10)]} />);
  expect(screen.getByRole('img').getAttribute('aria-label')).toBe('Speed over the last 1 min, up to 36 km/h');
});

it('says what an event changed', () => {
  expect(changesText({ reason: 'customer asked' })).toBe('customer asked');
  expect(changesText({ changes: { plannedStartAt: [] } })).toBe('planned start at');
  expect(changesText({})).toBe('');
  expect(humanise('stop_reached')).toBe('stop reached');
});
