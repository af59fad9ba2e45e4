import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { WaypostClient, type ClientOptions, type ClientState } from './client';
import { FakeSocket } from './fake-socket';
import type { Refusal } from './protocol';

let socket: FakeSocket;
let given: { auth?: (give: (data: object) => void) => void };

vi.mock('socket.io-client', () => ({
  io: (options: typeof given) => {
    given = options;
    return socket;
  },
}));

let states: ClientState[];
let told: string[];
let tokens: (string | undefined)[];
let refusedTokens: (string | undefined)[];
let client: WaypostClient;

const note = (what: string) => (why: Refusal | undefined) => void told.push(`${what} ${why?.code ?? '-'}`);
const token: ClientOptions['token'] = (refused) => {
  refusedTokens.push(refused);
  return tokens.shift();
};
const signIn = () => new Promise<object>((resolve) => given.auth?.(resolve));
const later = (ms: number) => vi.advanceTimersByTimeAsync(ms);

beforeEach(() => {
  vi.useFakeTimers();
  [states, told, tokens, refusedTokens] = [[], [], [], []];
  socket = new FakeSocket();
  client = new WaypostClient({
    token,
    onState: (state) => states.push(state),
    onCut: note('cut'),
    onRefused: note('refused'),
    onStale: () => void told.push('stale'),
  });
});

afterEach(() => {
  client.close();
  vi.useRealTimers();
});

const ack = (seq: number, more: object = {}) => ({ ok: true, epoch: 'a', seq, recovered: false, ...more });

describe('rooms', () => {
  const handlers = () => ({ onSnapshot: vi.fn(), onEvent: vi.fn(), onRefused: vi.fn() });

  it('are joined as soon as there is a connection, and again with `since` after each loss', () => {
    client.joinFleet(handlers());
    expect(socket.sent).toEqual([]);
    socket.opens();
    socket.last('fleet:join').answer(null, ack(5));
    socket.loses('transport close');
    socket.opens();
    expect(socket.last('fleet:join').data).toEqual({ since: { epoch: 'a', seq: 5 } });
  });

  it('are joined a few at a time: a server refuses what is too many at once', () => {
    for (let n = 0; n < 20; n += 1) client.joinTrip(`t${n}`, handlers());
    socket.opens();
    expect(socket.asked('trip:join')).toHaveLength(8);
    for (let n = 0; n < 3; n += 1) socket.asked('trip:join')[n]?.answer(null, ack(5));
    expect(socket.asked('trip:join')).toHaveLength(11);
    socket.loses('transport close');
    expect(socket.asked('trip:join')).toHaveLength(11); // socket.io would keep it, and send it with the next connection
    socket.opens();
    expect(socket.asked('trip:join')).toHaveLength(19);
    for (let n = 11; n < 31; n += 1) socket.asked('trip:join')[n]?.answer(null, ack(5));
    expect(socket.asked('trip:join')).toHaveLength(31);
  });

  it('get their own events: a trip may be told of in its room and in the fleet', () => {
    const [fleet, trip] = [handlers(), handlers()];
    socket.opens();
    client.joinFleet(fleet);
    client.joinTrip('t', trip);
    socket.last('fleet:join').answer(null, ack(5));
    socket.last('trip:join').answer(null, ack(1));
    const change = { tripId: 't', eventId: 'e', epoch: 'a' };
    socket.says('trip:event', { ...change, room: 'fleet', seq: 6 });
    socket.says('trip:event', { ...change, room: 'trip', seq: 2 });
    socket.says('trip:event', { ...change, room: 'trip', seq: 3 });
    expect([fleet.onEvent.mock.calls.length, trip.onEvent.mock.calls.length]).toEqual([1, 1]);
  });

  it('show no vehicle going back', () => {
    const fleet = handlers();
    socket.opens();
    client.joinFleet(fleet);
    const place = (second: number) => ({ vehicleId: 'v', recordedAt: `2026-11-22T12:00:0${second}.000Z` });
    socket.last('fleet:join').answer(null, ack(5, { positions: [place(5)] }));
    socket.says('fleet:positions', { epoch: 'a', seq: 6, positions: [place(4)] });
    socket.says('fleet:positions', { epoch: 'a', seq: 7, positions: [place(6)] });
    const shown = fleet.onEvent.mock.calls.map(([event]) => event.payload.positions);
    expect(shown).toEqual([[], [place(6)]]);
  });

  it('of a trip say where it is', () => {
    const onPosition = vi.fn();
    const fix = (second: number) => ({ recordedAt: `2026-11-22T12:00:0${second}.000Z` });
    socket.opens();
    client.joinTrip('t', { ...handlers(), onPosition });
    socket.last('trip:join').answer(null, ack(5, { position: fix(3) }));
    socket.says('trip:location', { tripId: 't', epoch: 'a', seq: 6, locations: [fix(8), fix(2)] });
    socket.says('trip:location', {
      tripId: 't',
      epoch: 'a',
      seq: 7,
      locations: [],
      withdrawn: [fix(8).recordedAt],
    });
    expect(onPosition.mock.calls.map(([position]) => position)).toEqual([fix(3), fix(8), fix(3)]);
  });

  it('are left for good, and not by who joined before', () => {
    socket.opens();
    const leaveFirst = client.joinTrip('t', handlers());
    const second = handlers();
    const leaveSecond = client.joinTrip('t', second);
    socket.last('trip:join').answer(null, ack(5));
    leaveFirst();
    expect(socket.asked('trip:leave')).toHaveLength(0);
    leaveSecond();
    expect(socket.last('trip:leave').data).toEqual({ tripId: 't' });
    socket.says('trip:location', { tripId: 't', epoch: 'a', seq: 6, locations: [] });
    expect(second.onEvent).not.toHaveBeenCalled();
  });
});

it('is told of a trip that it may not see any more, and joins it no more', () => {
  const onRefused = vi.fn();
  socket.opens();
  client.joinTrip('t', { onSnapshot: vi.fn(), onEvent: vi.fn(), onRefused });
  socket.last('trip:join').answer(null, ack(5));
  socket.says('trip:gone', { tripId: 't' });
  expect(onRefused.mock.calls.map(([{ code }]) => code)).toEqual(['trip-gone']);
  socket.loses('transport close');
  socket.opens();
  expect(socket.asked('trip:join')).toHaveLength(1);
});

describe('tokens', () => {
  it('are renewed in place when the server says that one runs out', async () => {
    tokens = ['old', 'new'];
    expect(await signIn()).toEqual({ token: 'old' });
    socket.opens();
    socket.says('auth:expiring', { inMs: 60_000 });
    await later(0);
    expect(refusedTokens).toEqual([undefined, 'old']);
    expect(socket.last('auth:refresh').data).toEqual({ token: 'new' });
    client.useToken('new');
    expect(socket.asked('auth:refresh')).toHaveLength(1);
  });

  it('of somebody else cannot be taken over by a connection: it is made anew', async () => {
    socket.opens();
    client.useToken('another');
    (socket.last('auth:refresh').answer as unknown as (ack: object) => void)({
      ok: false,
      error: { code: 'another-principal' },
    });
    await later(0);
    expect([socket.connected, socket.connect.mock.calls.length]).toEqual([false, 1]);
  });

  it('that are refused are replaced, and the client comes back', async () => {
    tokens = ['old', 'new'];
    await signIn();
    socket.refuses({ code: 'token-expired', retry: false });
    await later(1_000);
    expect([told, refusedTokens]).toEqual([['refused token-expired'], [undefined, 'old']]);
    expect(socket.connect).toHaveBeenCalledOnce();
  });

  it('that ran out on the connection are replaced before it comes back', async () => {
    tokens = ['old', 'new'];
    await signIn();
    socket.opens();
    socket.says('error', { code: 'token-expired', detail: 'It has run out.', retry: false });
    socket.loses('io server disconnect');
    await later(1_000);
    expect([told, refusedTokens]).toEqual([['cut token-expired'], [undefined, 'old']]);
    expect(socket.connect).toHaveBeenCalledOnce();
  });

  it('that cannot be had end it, until it is told to connect', async () => {
    tokens = ['old'];
    await signIn();
    socket.refuses({ code: 'token-invalid' });
    await later(600_000);
    expect([states.at(-1), socket.connect.mock.calls.length]).toEqual(['ended', 0]);
    client.connect();
    await later(0);
    expect(socket.connect).toHaveBeenCalledOnce();
  });

  it('that nobody can tell of now are asked for again later', async () => {
    const failing = new WaypostClient({ token: () => Promise.reject(new Error('away')) });
    expect(await signIn()).toEqual({ token: undefined });
    socket.refuses({ code: 'token-missing' });
    await later(5_000);
    expect(socket.connect).toHaveBeenCalledOnce();
    failing.close();
  });
});

describe('endings', () => {
  it('are told with their reason, and it comes back within a second', async () => {
    socket.opens();
    socket.says('error', { code: 'slow-client', detail: 'Too slow.', retry: true });
    socket.loses('io server disconnect');
    expect(told).toEqual(['cut slow-client']);
    await later(1_000);
    expect(socket.connect).toHaveBeenCalledOnce();
  });

  it('are told of also when the transport is gone at once; socket.io comes back by itself then', async () => {
    socket.opens();
    socket.says('error', { code: 'slow-client' });
    socket.loses('transport close');
    await later(10_000);
    expect([told, socket.connect.mock.calls.length]).toEqual([['cut slow-client'], 0]);
  });

  it('that were only lost connections are nobody’s word', () => {
    socket.opens();
    socket.loses('ping timeout');
    expect([told, states]).toEqual([[], ['online', 'waiting']]);
  });

  it('that are planned are left in time: connected until then, elsewhere at once after', async () => {
    socket.opens();
    socket.says('server:drain', { reconnectInMs: 4_000 });
    await later(3_900);
    expect([socket.connected, socket.connect.mock.calls.length]).toEqual([true, 0]);
    await later(100);
    expect([socket.connected, socket.connect.mock.calls.length]).toEqual([false, 1]);
  });

  it('that come before the planned time are followed at once, and the plan is forgotten', async () => {
    socket.opens();
    socket.says('server:drain', { reconnectInMs: 30_000 });
    socket.loses('transport close');
    socket.opens();
    await later(60_000);
    expect(socket.connected).toBe(true);
  });

  it('leave a server that refuses for good alone for longer', async () => {
    socket.refuses({ code: 'origin-refused', retry: false });
    await later(29_000);
    expect(socket.connect).not.toHaveBeenCalled();
    await later(61_000);
    expect(socket.connect).toHaveBeenCalledOnce();
  });
});

describe('events that need no joining', () => {
  const progress = (seq: number, eventId?: string) => ({
    epoch: 'p',
    seq,
    done: seq,
    ...(eventId && { eventId }),
  });
  const entered = (seq: number, missed?: object[]) => ({
    epoch: 'p',
    seq,
    recovered: !!missed,
    missed: missed ?? [],
  });
  const answer = (rooms: object) => socket.last('own:join').answer(null, { ok: true, rooms });
  let heard: number[];

  beforeEach(() => {
    heard = [];
    client.on('job:progress', (payload) => heard.push((payload as { seq: number }).seq));
    socket.opens();
  });

  it('come to who listens, each id once, until they stop', () => {
    const changes = vi.fn();
    const stop = client.on('notification:changed', changes);
    answer({ person: entered(4), staff: entered(8) });
    for (const each of [progress(5), progress(6, 'e'), progress(7, 'e')]) socket.says('job:progress', each);
    socket.says('notification:changed', { epoch: 'p', seq: 9 });
    stop();
    socket.says('notification:changed', { epoch: 'p', seq: 10 });
    expect([heard, changes.mock.calls.length]).toEqual([[5, 6], 1]);
  });

  it('are read anew at first, and not after a reconnect that recovered them', () => {
    answer({ person: entered(4), staff: entered(8) });
    socket.loses('transport close');
    socket.opens();
    expect(socket.last('own:join').data).toEqual({
      since: { person: { epoch: 'p', seq: 4 }, staff: { epoch: 'p', seq: 8 } },
    });
    const missed = [{ event: 'job:progress', data: progress(5) }];
    answer({ person: entered(5, missed), staff: entered(8, []) });
    expect([told, heard]).toEqual([['stale'], [5]]);
  });

  it('that were missed for good are read anew', async () => {
    answer({ person: entered(4) });
    socket.says('job:progress', progress(9));
    expect(heard).toEqual([]);
    await later(2_000);
    answer({ person: entered(9) });
    expect(told).toEqual(['stale', 'stale']);
  });

  it('are not asked for where nobody listens', () => {
    const other = new WaypostClient({ token });
    socket.opens();
    expect(socket.asked('own:join')).toHaveLength(1); // of the one that does
    other.close();
  });

  it('that belong to no room come at once', () => {
    const watchers = vi.fn();
    client.on('trip:watchers', watchers);
    socket.says('trip:watchers', { tripId: 't', watchers: [] });
    expect(watchers).toHaveBeenCalledOnce();
  });
});

it('sends what waits once it is connected', async () => {
  const answer = client.send('tracking:ping', { locations: [] });
  socket.opens();
  socket.last('tracking:ping').answer(null, { ok: true, accepted: 0 });
  expect(await answer).toEqual({ ok: true, accepted: 0 });
});
