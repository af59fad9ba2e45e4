import { describe, expect, it } from 'vitest';
import cases from '../../../docs/client-rule.json';
import { asPlaced, missedOf, type Entered } from './protocol';
import { MAX_REJOIN_WAIT_MS, rejoinWaitMs, Room, type Sequenced } from './room';

const event = (seq: number, from?: number, epoch = 'a'): Sequenced => ({ epoch, seq, from });
const seqs = (events: Sequenced[]) => events.map((each) => each.seq);

function joinedAt(seq: number): Room<Sequenced> {
  const room = new Room<Sequenced>();
  room.begin();
  room.joined({ epoch: 'a', seq });
  return room;
}

describe('before the ack', () => {
  it('keeps events and gives those beyond the snapshot, in order', () => {
    const room = new Room<Sequenced>();
    expect(room.begin()).toBeUndefined();
    for (const seq of [4, 5, 6, 7]) expect(room.receive(event(seq))).toEqual([]);
    expect(seqs(room.joined({ epoch: 'a', seq: 5 }))).toEqual([6, 7]);
    expect(room.isJoined).toBe(true);
  });

  it('forgets kept events of the former epoch', () => {
    const room = new Room<Sequenced>();
    room.begin();
    room.receive(event(90, undefined, 'old'));
    room.receive(event(2));
    expect(seqs(room.joined({ epoch: 'a', seq: 1 }))).toEqual([2]);
    expect(room.needsJoin).toBe(false);
  });

  it('takes what came of another epoch alone for the next life of the room, and joins again', () => {
    const room = new Room<Sequenced>();
    room.begin();
    room.receive(event(1, undefined, 'b'));
    expect(room.joined({ epoch: 'a', seq: 5 })).toEqual([]);
    expect(room.needsJoin).toBe(true);
    room.begin();
    expect(room.joined({ epoch: 'b', seq: 1 })).toEqual([]);
    expect(room.needsJoin).toBe(false);
  });

  it('sees that the room has a new life behind the snapshot', () => {
    const room = new Room<Sequenced>();
    room.begin();
    room.receive(event(6));
    room.receive(event(1, undefined, 'b'));
    expect(seqs(room.joined({ epoch: 'a', seq: 5 }))).toEqual([6]);
    expect(room.needsJoin).toBe(true);
  });

  it('sees a gap between the snapshot and what was kept', () => {
    const room = new Room<Sequenced>();
    room.begin();
    room.receive(event(9));
    expect(room.joined({ epoch: 'a', seq: 5 })).toEqual([]);
    expect(room.needsJoin).toBe(true);
  });

  it('holds a bounded number of events', () => {
    const room = new Room<Sequenced>();
    room.begin();
    for (let seq = 1; seq <= 1_500; seq += 1) room.receive(event(seq));
    expect(room.joined({ epoch: 'a', seq: 0 })).toEqual([]);
    expect(room.needsJoin).toBe(true);
  });
});

describe('once joined', () => {
  it('drops what it already has', () => {
    const room = joinedAt(5);
    expect(seqs([4, 5, 6, 6, 7].flatMap((seq) => room.receive(event(seq))))).toEqual([6, 7]);
  });

  it('takes a conflated event that begins at or before the next seq', () => {
    const room = joinedAt(5);
    expect(seqs(room.receive(event(9, 6)))).toEqual([9]);
    expect(seqs(room.receive(event(12, 8)))).toEqual([12]);
    expect(room.needsJoin).toBe(false);
  });

  it('asks to join again on a gap, with the place it stands at', () => {
    const room = joinedAt(5);
    expect(room.receive(event(9, 7))).toEqual([]);
    expect(room.needsJoin).toBe(true);
    expect(room.begin()).toEqual({ epoch: 'a', seq: 5 });
    expect(seqs(room.joined({ epoch: 'a', seq: 8 }))).toEqual([9]);
  });

  it('asks to join again on a new epoch', () => {
    const room = joinedAt(5);
    expect(room.receive(event(6, undefined, 'b'))).toEqual([]);
    expect(room.needsJoin).toBe(true);
    expect(room.joined({ epoch: 'b', seq: 6 })).toEqual([]);
    expect(seqs(room.receive(event(7, undefined, 'b')))).toEqual([7]);
  });

  it('applies what an ack recovered, then what was kept beyond it', () => {
    const room = joinedAt(5);
    room.lost();
    room.begin();
    for (const seq of [8, 9]) room.receive(event(seq));
    expect(seqs(room.joined({ epoch: 'a', seq: 8 }, [event(7, 6), event(8)]))).toEqual([7, 8, 9]);
    expect(room.isJoined).toBe(true);
  });

  it.each<[string, Sequenced[], string]>([
    ['begins late', [event(7), event(8)], 'a'],
    ['has a hole', [event(6), event(8)], 'a'],
    ['ends early', [event(6), event(7)], 'a'],
    ['is out of order', [event(7, 6), event(6), event(8)], 'a'],
    ['is of another epoch', [event(6), event(7), event(8)], 'b'],
  ])('does not believe a recovery that %s, and asks for a snapshot', (_, missed, epoch) => {
    const room = joinedAt(5);
    room.lost();
    room.begin();
    expect(room.joined({ epoch, seq: 8 }, missed)).toEqual([]);
    expect(room.needsJoin).toBe(true);
    expect(room.begin()).toBeUndefined();
  });

  it('remembers its place when the socket is lost', () => {
    const room = joinedAt(5);
    room.lost();
    expect(room.isJoined).toBe(false);
    expect(room.begin()).toEqual({ epoch: 'a', seq: 5 });
  });
});

it('waits at most two seconds before it joins again', () => {
  expect(rejoinWaitMs(0)).toBe(0);
  expect(rejoinWaitMs(0.999)).toBeLessThan(MAX_REJOIN_WAIT_MS);
});

interface Case {
  do: string;
  since?: object | null;
  event?: Sequenced;
  ack?: Entered;
  applies?: number[];
  needsJoin?: boolean;
}

it.each(cases)('$name', ({ steps }) => {
  const room = new Room<Sequenced>();
  for (const step of steps as Case[]) {
    let applied: Sequenced[] = [];
    if (step.do === 'begin') expect(room.begin() ?? null).toEqual(step.since);
    if (step.do === 'lost') room.lost();
    if (step.event) applied = room.receive(asPlaced('trip:location', step.event)!);
    if (step.ack) applied = room.joined(step.ack, missedOf(step.ack));
    expect([step.do, seqs(applied)]).toEqual([step.do, step.applies ?? []]);
    expect(room.needsJoin).toBe(step.needsJoin ?? false);
  }
});
