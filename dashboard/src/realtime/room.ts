/**
 * The client rule of a Waypost room, without any socket: copy this file into any client.
 *
 * Every event of a room carries `epoch` (the life of the room's counter) and `seq` (its place in it). A conflated event
 * stands for several and says `from`, the first `seq` it stands for. The ack of a join says where its snapshot stands.
 *
 *   1. From the moment of joining until the ack, keep events; then go through them in order.
 *   2. Drop an event whose `seq` is not beyond ours: the snapshot or an earlier event holds it.
 *   3. A gap (`from ?? seq` beyond ours + 1) or another `epoch` means that something is missing: join again with
 *      `since`, after a random wait of at most MAX_REJOIN_WAIT_MS, so that a crowd does not return at once.
 *   4. After a reconnect of the socket, join again with `since`.
 *   5. An ack either recovers (apply its `missed` on what you have) or brings a snapshot (replace what you have).
 *
 * Use: `begin()` before emitting the join, `receive()` for each event, `joined()` with the ack. Whatever they return is to
 * be applied, in that order; `needsJoin` then says whether rule 3 calls.
 */
export interface Mark {
  epoch: string;
  seq: number;
}

export interface Sequenced extends Mark {
  from?: number | null | undefined;
}

export const MAX_REJOIN_WAIT_MS = 2_000;

/** More than this while waiting for an ack, and the oldest go: the gap that leaves is then seen as one. */
const MAX_KEPT = 1_000;

type State = 'out' | 'joining' | 'in' | 'behind';

export class Room<E extends Sequenced> {
  #mark: Mark | undefined;
  #state: State = 'out';
  #kept: E[] = [];

  /** True when a gap or a new epoch was seen: join again after `rejoinWaitMs`. */
  get needsJoin(): boolean {
    return this.#state === 'behind';
  }

  get isJoined(): boolean {
    return this.#state === 'in';
  }

  /** A join is about to be sent; the result is its `since`, undefined on the first. */
  begin(): Mark | undefined {
    this.#state = 'joining';
    return this.#mark;
  }

  /** An event came. Returns what to apply now: the event itself, or nothing. */
  receive(event: E): E[] {
    if (this.#state === 'in') {
      if (this.#isOld(event)) return [];
      if (this.#isNext(event)) return this.#take(event);
      this.#state = 'behind';
    }
    this.#keep(event);
    return [];
  }

  /**
   * The ack came. `missed`: what it recovered, in order; undefined: it holds a snapshot, to be applied before all else.
   *
   * Returns the missed events and then the kept ones that go beyond them. What is said to be recovered but does not join
   * what we have to the ack's place is not believed: the next join asks for a snapshot.
   */
  joined(ack: Mark, missed?: E[]): E[] {
    if (missed && !this.#connects(missed, ack)) return this.#distrust();
    this.#mark = { epoch: ack.epoch, seq: ack.seq };
    this.#state = 'in';
    return [...(missed ?? []), ...this.#release(ack.epoch)];
  }

  /** The socket is gone: events are kept again from the next join on. */
  lost(): void {
    this.#state = 'out';
    this.#kept = [];
  }

  #isOld(event: E): boolean {
    return event.epoch === this.#mark?.epoch && event.seq <= this.#mark.seq;
  }

  #isNext(event: E): boolean {
    return event.epoch === this.#mark?.epoch && (event.from ?? event.seq) <= this.#mark.seq + 1;
  }

  #take(event: E): E[] {
    this.#mark = { epoch: event.epoch, seq: event.seq };
    return [event];
  }

  /** Do they lead, without a hole, from where we are to where the ack says that we are? */
  #connects(missed: E[], ack: Mark): boolean {
    if (this.#mark?.epoch !== ack.epoch) return false;
    let { seq } = this.#mark;
    for (const event of missed) {
      if (event.epoch !== ack.epoch || (event.from ?? event.seq) > seq + 1 || event.seq <= seq) return false;
      seq = event.seq;
    }
    return seq === ack.seq;
  }

  #distrust(): E[] {
    this.#mark = undefined;
    this.#state = 'behind';
    return [];
  }

  /**
   * What was kept of another epoch than the ack's, before anything of its own, is of the room's former life. What came
   * after, or without any of its own, may be of the next life: then the room is behind again.
   */
  #release(epoch: string): E[] {
    const first = this.#kept.findIndex((event) => event.epoch === epoch);
    const kept = first < 0 ? this.#kept : this.#kept.slice(first);
    this.#kept = [];
    return kept.flatMap((event) => this.receive(event));
  }

  #keep(event: E): void {
    this.#kept.push(event);
    if (this.#kept.length > MAX_KEPT) this.#kept.shift();
  }
}

/** How long to wait before joining again; `jitter` in [0, 1). */
export function rejoinWaitMs(jitter: number): number {
  return jitter * MAX_REJOIN_WAIT_MS;
}
