import type { Socket } from 'socket.io-client';
import { Gate, Joining } from './joining';
import { Seen } from './newest';
import { asRoomEvent, missedOf, type Joined, type Refusal, type RoomEvent } from './protocol';
import { Room, type Mark } from './room';

/** Where a room stands after each step, and what made it so; for logs and tests. */
export interface Step extends Mark {
  from: number;
  by: 'snapshot' | 'missed' | 'event';
}

export interface MembershipSpec<A extends Joined> {
  /** The event that joins, and what it says beside `since`. */
  join: string;
  params: object;
  /** Replace what you have. */
  onSnapshot: (ack: A) => void;
  /** Apply it on what you have. Each `eventId` comes once. */
  onEvent: (event: RoomEvent) => void;
  /** With `retry` it is tried again by itself. */
  onRefused: (refusal: Refusal) => void;
  onStep?: ((step: Step) => void) | undefined;
}

/** Being in one room over a socket that comes and goes: joins, joins again, applies in order. */
export class Membership<A extends Joined> {
  readonly #spec: MembershipSpec<A>;
  readonly #room = new Room<RoomEvent>();
  readonly #seen = new Seen();
  readonly #joining: Joining<A>;

  constructor(socket: Socket, spec: MembershipSpec<A>, gate = new Gate()) {
    this.#spec = spec;
    this.#joining = new Joining<A>(socket, gate, {
      event: spec.join,
      params: () => this.#params(),
      onAck: (ack) => this.#accept(ack),
      onRefused: spec.onRefused,
    });
  }

  /** Join, or join again. */
  join(): void {
    this.#joining.now();
  }

  receive(event: RoomEvent): void {
    this.#apply(this.#room.receive(event));
  }

  /** The socket is down: the next `join` continues from here. */
  lost(): void {
    this.#joining.stop();
    this.#room.lost();
  }

  /** The server has put us out of the room for good. */
  gone(): void {
    this.lost();
    this.#spec.onRefused({ code: 'trip-gone', detail: 'You may not see this trip any more.', retry: false });
  }

  #params(): object {
    const since = this.#room.begin();
    return since ? { ...this.#spec.params, since } : this.#spec.params;
  }

  #accept(ack: A): void {
    const missed = missedOf(ack)?.flatMap((event) => asRoomEvent(event) ?? []);
    if (!missed) {
      this.#spec.onSnapshot(ack);
      this.#spec.onStep?.({ epoch: ack.epoch, seq: ack.seq, from: ack.seq, by: 'snapshot' });
    }
    this.#apply(this.#room.joined(ack, missed), missed?.length);
  }

  /** The first of them, so `many`, were missed before. */
  #apply(events: RoomEvent[], many = 0): void {
    events.forEach((event, index) => {
      // A repeat has its place in the room, but nothing to say.
      if (!event.eventId || !this.#seen.isRepeat(event.eventId)) this.#spec.onEvent(event);
      const { epoch, seq, from } = event;
      this.#spec.onStep?.({ epoch, seq, from: from ?? seq, by: index < many ? 'missed' : 'event' });
    });
    if (this.#room.needsJoin) this.#joining.soon();
  }
}
