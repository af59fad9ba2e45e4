import type { Socket } from 'socket.io-client';
import type { Ack, Refusal } from './protocol';
import { rejoinWaitMs } from './room';

const ACK_TIMEOUT_MS = 10_000;
const RETRY_MS = 3_000;

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
  readonly #spec: JoiningSpec<A>;
  #attempt = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(socket: Socket, spec: JoiningSpec<A>) {
    this.#socket = socket;
    this.#spec = spec;
  }

  now(): void {
    this.stop();
    const attempt = this.#attempt;
    this.#socket
      .timeout(ACK_TIMEOUT_MS)
      .emit(this.#spec.event, this.#spec.params(), (error: Error | null, ack?: Ack<A>) => {
        if (attempt === this.#attempt) this.#answered(error ? undefined : ack);
      });
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
  }

  #answered(ack: Ack<A> | undefined): void {
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
