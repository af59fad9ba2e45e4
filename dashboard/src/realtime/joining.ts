import type { Socket } from 'socket.io-client';
import type { Ack, Refusal } from './protocol';
import { rejoinWaitMs } from './room';

/** A server lets 16 commands of a connection wait, and refuses more. */
const AT_ONCE = 8;
const ACK_TIMEOUT_MS = 10_000;
const RETRY_MS = 3_000;

/** Lets so many joins of one connection be under way at once; the others wait for their turn. */
export class Gate {
  readonly #waiting = new Set<() => void>();
  #inside = 0;

  /** Call `go` when it is its turn. The result ends that turn, or the waiting for it. */
  enter(go: () => void): () => void {
    let isInside = false;
    const admit = () => {
      isInside = true;
      this.#inside += 1;
      go();
    };
    this.#waiting.add(admit);
    this.#next();
    return () => {
      this.#waiting.delete(admit);
      if (isInside) this.#inside -= 1;
      isInside = false;
      this.#next();
    };
  }

  #next(): void {
    for (const admit of this.#waiting) {
      if (this.#inside >= AT_ONCE) return;
      this.#waiting.delete(admit);
      admit();
    }
  }
}

export interface JoiningSpec<A extends { ok: true }> {
  /** The event that joins. */
  event: string;
  /** What it says this time. */
  params: () => object;
  onAck: (ack: A) => void;
  /** With `retry` it is tried again by itself. */
  onRefused: (refusal: Refusal) => void;
}

/** Asking to be in a room until there is an answer. That of an earlier attempt is ignored. */
export class Joining<A extends { ok: true }> {
  readonly #socket: Socket;
  readonly #gate: Gate;
  readonly #spec: JoiningSpec<A>;
  #attempt = 0;
  #leaveGate: (() => void) | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(socket: Socket, gate: Gate, spec: JoiningSpec<A>) {
    this.#socket = socket;
    this.#gate = gate;
    this.#spec = spec;
  }

  now(): void {
    this.stop();
    const attempt = this.#attempt;
    this.#leaveGate = this.#gate.enter(() => this.#send(attempt));
  }

  /** After a random wait: something is missing, and others may have noticed at the same moment. */
  soon(): void {
    if (this.#timer === undefined) this.#in(rejoinWaitMs(Math.random()));
  }

  /** The socket is down, or nobody wants to be in the room any more. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#attempt += 1;
    this.#leaveGate?.();
  }

  #send(attempt: number): void {
    if (!this.#socket.connected) return; // socket.io would keep it, and send it with the next connection
    this.#socket
      .timeout(ACK_TIMEOUT_MS)
      .emit(this.#spec.event, this.#spec.params(), (error: Error | null, ack?: Ack<A>) => {
        if (attempt === this.#attempt) this.#answered(error ? undefined : ack);
      });
  }

  #answered(ack: Ack<A> | undefined): void {
    this.#leaveGate?.();
    if (!ack) return this.#in(RETRY_MS);
    if (ack.ok) return this.#spec.onAck(ack);
    this.#spec.onRefused(ack.error);
    if (ack.error.retry) this.#in(Math.max(RETRY_MS, (ack.error.retryAfter ?? 0) * 1_000));
  }

  #in(waitMs: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      if (this.#socket.connected) this.now();
    }, waitMs);
  }
}
