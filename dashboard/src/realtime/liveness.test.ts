import { expect, it } from 'vitest';
import { liveness, type LinkFacts } from './liveness';

const NOW = 1_000_000;
const good: LinkFacts = {
  nowMs: NOW,
  online: true,
  joined: true,
  downSinceMs: undefined,
  lastEventAtMs: NOW - 1_000,
  expectsEvents: true,
};

it('is live while connected and events arrive', () => {
  expect(liveness(good).kind).toBe('live');
});

it('is not live when connected but no event comes although one is due', () => {
  const lastEventAtMs = NOW - 31_000;
  expect(liveness({ ...good, lastEventAtMs })).toEqual({ kind: 'quiet', lastUpdateMs: lastEventAtMs });
});

it('is live when no event is due: an empty or parked fleet', () => {
  expect(liveness({ ...good, lastEventAtMs: undefined, expectsEvents: false }).kind).toBe('live');
});

it('is reconnecting for half a minute, then offline since the loss', () => {
  const down = { ...good, online: false };
  expect(liveness({ ...down, downSinceMs: NOW - 12_000 }).kind).toBe('reconnecting');
  expect(liveness({ ...down, downSinceMs: NOW - 31_000 })).toEqual({
    kind: 'offline',
    sinceMs: NOW - 31_000,
  });
});

it('is connecting until the first snapshot', () => {
  expect(liveness({ ...good, joined: false, lastEventAtMs: undefined }).kind).toBe('connecting');
});
