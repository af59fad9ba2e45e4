import type { Socket } from 'socket.io-client';
import { asRoomEvent, type Ack, type Joined, type Refusal, type RoomEvent } from './protocol';
import { rejoinWaitMs, Room } from './room';

const ACK_TIMEOUT_MS = 10_000;
const RETRY_MS = 3_000;

export interface MembershipSpec<A extends Joined> {
  /** The event that joins, and what it says beside `since`. */
  join: string;
  params: Record<string, unknown>;
  onSnapshot: (ack: A) => void;
  onEvent: (event: RoomEvent) => void;
  onRefused: (refusal: Refusal) => void;
}

/** Being in one room over a socket that comes and goes: joins, joins again, applies in order. */
export class Membership<A extends Joined> {
  readonly #socket: Socket;
  readonly #spec: MembershipSpec<A>;
  readonly #room = new Room<RoomEvent>();
  #attempt = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(socket: Socket, spec: MembershipSpec<A>) {
    this.#socket = socket;
    this.#spec = spec;
  }

  /** Join, or join again. An ack of an earlier attempt is ignored. */
  join(): void {
    this.#clearTimer();
    const attempt = ++this.#attempt;
    const since = this.#room.begin();
    const params = since ? { ...this.#spec.params, since } : this.#spec.params;
    this.#socket
      .timeout(ACK_TIMEOUT_MS)
      .emit(this.#spec.join, params, (error: Error | null, ack?: Ack<A>) => {
        if (attempt !== this.#attempt) return;
        if (error || !ack) return this.#joinIn(RETRY_MS);
        if (!ack.ok) return this.#refused(ack.error);
        this.#accept(ack);
      });
  }

  receive(event: RoomEvent): void {
    this.#apply(this.#room.receive(event));
  }

  /** The socket is down: the next `join` continues from here. */
  lost(): void {
    this.#clearTimer();
    this.#attempt += 1;
    this.#room.lost();
  }

  #accept(ack: A): void {
    if (!ack.recovered) this.#spec.onSnapshot(ack);
    for (const missed of ack.recovered ? (ack.missed ?? []) : []) {
      const event = asRoomEvent(missed);
      if (event) this.#spec.onEvent(event);
    }
    this.#apply(this.#room.joined(ack));
  }

  #apply(events: RoomEvent[]): void {
    events.forEach(this.#spec.onEvent);
    if (this.#room.needsJoin && this.#timer === undefined) this.#joinIn(rejoinWaitMs(Math.random()));
  }

  #refused(refusal: Refusal): void {
    this.#spec.onRefused(refusal);
    if (refusal.retry) this.#joinIn(RETRY_MS);
  }

  #joinIn(waitMs: number): void {
    this.#clearTimer();
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      if (this.#socket.connected) this.join();
    }, waitMs);
  }

  #clearTimer(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}
