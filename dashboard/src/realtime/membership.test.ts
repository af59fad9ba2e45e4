import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { Socket } from 'socket.io-client';
import { Membership } from './membership';
import { asRoomEvent, type FleetJoined, type RoomEvent } from './protocol';

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
  epoch: 'a',
  seq,
  payload: { epoch: 'a', seq, positions: [] },
});
const ack = (seq: number, more: object = {}) => ({ ok: true, epoch: 'a', seq, ...more });

let socket: FakeSocket;
let applied: number[];
let snapshots: number;
let refused: string[];
let membership: Membership<FleetJoined>;

beforeEach(() => {
  vi.useFakeTimers();
  socket = new FakeSocket();
  applied = [];
  snapshots = 0;
  refused = [];
  membership = new Membership<FleetJoined>(socket as unknown as Socket, {
    join: 'fleet:join',
    params: {},
    onSnapshot: () => (snapshots += 1),
    onEvent: (event) => applied.push(event.seq),
    onRefused: ({ code }) => refused.push(code),
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

it('tells missed events by their shape where they carry no name', () => {
  const shapes = [{ positions: [] }, { locations: [], tripId: 't' }, { eventId: 'e', tripId: 't' }, {}];
  const names = shapes.map((shape) => asRoomEvent({ epoch: 'a', seq: 1, ...shape })?.name);
  expect(names).toEqual(['fleet:positions', 'trip:location', 'trip:event', undefined]);
});
