import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { Socket } from 'socket.io-client';
import { Membership, type Step } from './membership';
import { asPlaced, asRoomEvent, type FleetJoined, type RoomEvent } from './protocol';

type Answer = (error: Error | null, ack?: unknown) => void;

/** A socket that remembers what was emitted and lets the test answer. */
class FakeSocket {
  connected = true;
  sent: { params: Record<string, unknown>; answer: Answer }[] = [];

  timeout() {
    return {
      emit: (_name: string, params: Record<string, unknown>, answer: Answer) =>
        this.sent.push({ params, answer }),
    };
  }

  get last() {
    const call = this.sent.at(-1);
    if (!call) throw new Error('nothing was sent');
    return call;
  }
}

const positions = (seq: number): RoomEvent => ({
  name: 'fleet:positions',
  eventId: undefined,
  epoch: 'a',
  seq,
  payload: { epoch: 'a', seq, positions: [] },
});
const roomEvent = (name: string, payload: unknown) => {
  const event = asPlaced(name, payload);
  return event && asRoomEvent(event);
};
const ack = (seq: number, more: object = {}) => ({ ok: true, epoch: 'a', seq, ...more });

let socket: FakeSocket;
let applied: number[];
let snapshots: number;
let refused: string[];
let steps: Step[];
let membership: Membership<FleetJoined>;

beforeEach(() => {
  vi.useFakeTimers();
  socket = new FakeSocket();
  applied = [];
  snapshots = 0;
  refused = [];
  steps = [];
  membership = new Membership<FleetJoined>(socket as unknown as Socket, {
    join: 'fleet:join',
    params: {},
    onSnapshot: () => (snapshots += 1),
    onEvent: (event) => applied.push(event.seq),
    onRefused: ({ code }) => refused.push(code),
    onStep: (step) => steps.push(step),
  });
});

afterEach(() => vi.useRealTimers());

it('applies the snapshot, then what came while it waited', () => {
  membership.join();
  membership.receive(positions(6));
  expect(applied).toEqual([]);
  socket.last.answer(null, ack(5));
  expect([snapshots, applied]).toEqual([1, [6]]);
});

it('joins again within two seconds of a gap, once, saying where it stands', () => {
  membership.join();
  socket.last.answer(null, ack(5));
  membership.receive(positions(8));
  membership.receive(positions(9));
  vi.advanceTimersByTime(2_000);
  expect(socket.sent.map((call) => call.params['since'])).toEqual([undefined, { epoch: 'a', seq: 5 }]);
  socket.last.answer(null, ack(7));
  expect(applied).toEqual([8, 9]);
});

it('applies what it missed instead of a snapshot when the server could recover it', () => {
  membership.join();
  socket.last.answer(null, ack(5));
  membership.lost();
  membership.join();
  const missed = [6, 7].map((seq) => ({
    event: 'fleet:positions',
    data: { epoch: 'a', seq, positions: [] },
  }));
  socket.last.answer(null, ack(7, { recovered: true, missed }));
  membership.receive(positions(8));
  expect([snapshots, applied]).toEqual([1, [6, 7, 8]]);
});

it('ignores the ack of a join that a later one has replaced', () => {
  membership.join();
  const late = socket.last.answer;
  membership.lost();
  membership.join();
  late(null, ack(5));
  expect(snapshots).toBe(0);
});

it('tries again after an ack that never came, and after a refusal that allows it', () => {
  membership.join();
  socket.last.answer(new Error('timeout'));
  vi.advanceTimersByTime(3_000);
  expect(socket.sent).toHaveLength(2);
  socket.last.answer(null, { ok: false, error: { code: 'overloaded', retry: true } });
  vi.advanceTimersByTime(3_000);
  expect(socket.sent).toHaveLength(3);
  socket.last.answer(null, { ok: false, error: { code: 'forbidden' } });
  vi.advanceTimersByTime(60_000);
  expect(socket.sent).toHaveLength(3);
  expect(refused).toEqual(['overloaded', 'forbidden']);
});

it('takes a snapshot when what is said to be recovered leaves a hole', () => {
  membership.join();
  socket.last.answer(null, ack(5));
  membership.lost();
  membership.join();
  const missed = [{ event: 'fleet:positions', data: { epoch: 'a', seq: 7, positions: [] } }];
  socket.last.answer(null, ack(7, { recovered: true, missed }));
  expect(applied).toEqual([]);
  vi.advanceTimersByTime(2_000);
  expect(socket.last.params['since']).toBeUndefined();
  socket.last.answer(null, ack(7));
  expect(snapshots).toBe(2);
});

it('applies an event once, and goes on from the place of its repeat', () => {
  const change = (seq: number, epoch: string) =>
    roomEvent('trip:event', { epoch, seq, room: 'fleet', tripId: 't', eventId: 'e' })!;
  membership.join();
  socket.last.answer(null, ack(5));
  membership.receive(change(6, 'a'));
  membership.receive(change(7, 'a'));
  membership.receive(positions(8));
  expect(applied).toEqual([6, 8]);
});

it('says where it stands after each step, and how it came there', () => {
  membership.join();
  socket.last.answer(null, ack(5));
  membership.receive({ ...positions(8), from: 6 });
  membership.lost();
  membership.join();
  const missed = [{ event: 'fleet:positions', data: { epoch: 'a', seq: 9, positions: [] } }];
  socket.last.answer(null, ack(9, { recovered: true, missed }));
  expect(steps.map(({ seq, from, by }) => [by, from, seq])).toEqual([
    ['snapshot', 5, 5],
    ['event', 6, 8],
    ['missed', 9, 9],
  ]);
});

it('counts an event that it does not know', () => {
  membership.join();
  socket.last.answer(null, ack(5));
  membership.receive(roomEvent('fleet:news', { epoch: 'a', seq: 6, text: 'rain' })!);
  membership.receive(positions(7));
  expect(applied).toEqual([6, 7]);
  vi.advanceTimersByTime(2_000);
  expect(socket.sent).toHaveLength(1);
});

it('takes for a room event what carries a place, and nothing else', () => {
  const shapes: [string, unknown][] = [
    ['fleet:positions', { epoch: 'a', seq: 1, positions: [] }],
    ['trip:location', { epoch: 'a', seq: 1, tripId: 't', locations: [] }],
    ['trip:location', { epoch: 'a', seq: 1, tripId: 't' }],
    ['trip:location', { tripId: 't', locations: [] }],
    ['job:progress', { epoch: 'a', seq: 1 }],
    ['trip:event', null],
  ];
  const names = shapes.map(([name, payload]) => roomEvent(name, payload)?.name);
  expect(names).toEqual(['fleet:positions', 'trip:location', 'other', undefined, undefined, undefined]);
});
