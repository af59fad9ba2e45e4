import { expect, it } from 'vitest';
import { NewestOfFleet, NewestOfTrip, Seen } from './newest';

const at = (second: number) => `2026-11-22T12:00:${String(second).padStart(2, '0')}.000Z`;
const place = (second: number, withdrawn?: number, vehicleId = 'v') => ({
  vehicleId,
  recordedAt: at(second),
  ...(withdrawn !== undefined && { withdrawn: at(withdrawn) }),
});

it('knows a repeat by its id, and forgets the oldest of many', () => {
  const seen = new Seen();
  expect(['a', 'b', 'a'].map((id) => seen.isRepeat(id))).toEqual([false, false, true]);
  for (let n = 0; n < 2_000; n += 1) seen.isRepeat(`more ${n}`);
  expect(['more 0', 'more 1999', 'a'].map((id) => seen.isRepeat(id))).toEqual([true, true, false]);
});

it('shows no vehicle going back', () => {
  const newest = new NewestOfFleet();
  newest.reset([place(5)]);
  expect(newest.news([place(4), place(4, undefined, 'w'), place(6), place(5)])).toEqual([
    place(4, undefined, 'w'),
    place(6),
  ]);
});

it('goes back only from what is taken back', () => {
  const newest = new NewestOfFleet();
  newest.reset([place(9)]);
  expect(newest.news([place(3, 8)])).toEqual([]);
  expect(newest.news([place(3, 9), place(4)])).toEqual([place(3, 9), place(4)]);
  expect(newest.news([place(2, 7), place(5)])).toEqual([place(2, 7), place(5)]);
});

it('begins anew from a snapshot, also from an older one', () => {
  const newest = new NewestOfFleet();
  newest.reset([place(9)]);
  newest.reset([place(5)]);
  expect(newest.news([place(6)])).toEqual([place(6)]);
});

it('tells where a trip is, whatever order its fixes come in', () => {
  const newest = new NewestOfTrip<{ recordedAt: string }>();
  expect(newest.position).toBeUndefined();
  newest.reset({ recordedAt: at(5) });
  newest.apply([{ recordedAt: at(7) }, { recordedAt: at(6) }], []);
  newest.apply([{ recordedAt: at(4) }], []);
  expect(newest.position?.recordedAt).toBe(at(7));
});

it('falls back to the newest fix that stands when the newest of all is taken back', () => {
  const newest = new NewestOfTrip<{ recordedAt: string }>();
  newest.apply([{ recordedAt: at(5) }, { recordedAt: at(6) }, { recordedAt: at(9) }], []);
  newest.apply([], [at(9)]);
  expect(newest.position?.recordedAt).toBe(at(6));
  newest.apply([{ recordedAt: at(7) }], [at(6)]);
  expect(newest.position?.recordedAt).toBe(at(7));
  newest.reset(null);
  expect(newest.position).toBeUndefined();
});
