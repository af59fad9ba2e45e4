import { beforeEach, expect, it, vi } from 'vitest';
import type { Connection } from '../realtime/connection';
import type { TripHandlers } from '../realtime/client';
import { TripDetail } from './trip-detail';

const at = (second: number) => `2026-11-22T12:00:0${second}.000Z`;
const fix = (second: number) => ({ latitude: 30, longitude: -97, recordedAt: at(second) });
const event = (id: string, second: number) => ({
  eventId: id,
  tripId: 't',
  kind: 'changed' as const,
  at: at(second),
});

let answers: Record<string, unknown>;
let asked: string[];
let handlers: TripHandlers;
const connection = {
  on: () => () => undefined,
  joinTrip: (_: string, given: TripHandlers) => {
    handlers = given;
    return () => undefined;
  },
} as unknown as Connection;
const snapshot = () =>
  handlers.onSnapshot({
    ok: true,
    epoch: 'a',
    seq: 1,
    trip: { id: 't', status: 'started' },
    position: { ...fix(3), vehicleId: 'v' },
  });

beforeEach(() => {
  asked = [];
  answers = { events: [event('e1', 1)], locations: [fix(1), fix(2)] };
  vi.stubGlobal('fetch', async (url: string) => {
    const name = url.split('?')[0]?.split('/').at(-1) ?? '';
    asked.push(name);
    return Response.json(name in answers ? { data: answers[name] } : { id: 't', status: 'started' });
  });
});

const loaded = (detail: TripDetail) =>
  vi.waitFor(() => {
    if (detail.events.value.kind !== 'ready' || detail.recent.value.kind !== 'ready') throw new Error('wait');
    return { events: detail.events.value.value, recent: detail.recent.value.value };
  });

it('reads what a snapshot does not hold once, and anew when a later one says that something was missed', async () => {
  const detail = new TripDetail(connection, 't', undefined);
  snapshot();
  await loaded(detail);
  expect(asked.filter((name) => name === 'events')).toHaveLength(1);
  answers = { events: [event('e2', 2), event('e1', 1)], locations: [fix(2), fix(3)] };
  snapshot();
  await vi.waitFor(() => expect(asked.filter((name) => name === 'events')).toHaveLength(2));
  await vi.waitFor(async () => {
    const { events, recent } = await loaded(detail);
    expect(events.map(({ eventId }) => eventId)).toEqual(['e2', 'e1']);
    // The first fix is no longer among them: it was withdrawn meanwhile.
    expect(recent.map(({ recordedAt }) => recordedAt)).toEqual([at(2), at(3)]);
  });
  detail.close();
});
