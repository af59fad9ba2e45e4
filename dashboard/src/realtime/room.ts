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
    if (this.#state !== 'in') {
      this.#keep(event);
      return [];
    }
    if (event.epoch === this.#mark?.epoch && event.seq <= this.#mark.seq) return [];
    if (event.epoch !== this.#mark?.epoch || (event.from ?? event.seq) > this.#mark.seq + 1) {
      this.#state = 'behind';
      this.#keep(event);
      return [];
    }
    this.#mark = { epoch: event.epoch, seq: event.seq };
    return [event];
  }

  /**
   * The ack came: the snapshot (or what we missed) stands at `mark`. Returns the kept events that go beyond it.
   *
   * A kept event of another epoch than the ack's is of the room's former life, already in the snapshot.
   */
  joined(mark: Mark): E[] {
    this.#mark = { epoch: mark.epoch, seq: mark.seq };
    this.#state = 'in';
    const kept = this.#kept.filter((event) => event.epoch === mark.epoch);
    this.#kept = [];
    return kept.flatMap((event) => this.receive(event));
  }

  /** The socket is gone or the join failed: events, if any, are kept until the next join. */
  lost(): void {
    this.#state = 'out';
    this.#kept = [];
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
