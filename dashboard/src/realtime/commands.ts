import type { Socket } from 'socket.io-client';
import { uuid } from '../ui/ids';
import type { Ack, Refusal } from './protocol';

const ACK_TIMEOUT_MS = 15_000;
const RETRY_MS = 3_000;
const MAX_WAITING = 1_000;

export type Answer = Ack<{ ok: true } & Record<string, unknown>>;

interface Command {
  event: string;
  data: object;
  settle: (answer: Answer) => void;
}

/**
 * Commands that are sent until the server has answered: again after a lost connection, a time-out or a refusal that
 * allows it, one after another in their order.
 *
 * So one may arrive twice. A batch of fixes is known by its `stream` and `n`; every other command gets an `id` that
 * stays the same each time.
 */
export class Commands {
  readonly #socket: Socket;
  readonly #waiting: Command[] = [];
  #attempt = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** The answer, once there is one: a yes, or a no that repeating does not help against. */
  send(event: string, data: object): Promise<Answer> {
    if (this.#waiting.length >= MAX_WAITING)
      return Promise.resolve(refused({ code: 'too-many', detail: 'Too many commands wait.', retry: true }));
    const own = event === 'tracking:ping' ? data : { id: uuid(), ...data };
    return new Promise((settle) => {
      this.#waiting.push({ event, data: own, settle });
      if (this.#waiting.length === 1) this.resume();
    });
  }

  /** The socket is there: go on with the one that has no answer yet. */
  resume(): void {
    this.lost();
    const command = this.#waiting[0];
    if (!command || !this.#socket.connected) return;
    const attempt = this.#attempt;
    this.#socket
      .timeout(ACK_TIMEOUT_MS)
      .emit(command.event, command.data, (error: Error | null, answer?: Answer) => {
        if (attempt === this.#attempt) this.#answered(error ? undefined : answer);
      });
  }

  /** The socket is gone: an answer that comes all the same is nobody's. */
  lost(): void {
    clearTimeout(this.#timer);
    this.#attempt += 1;
  }

  /** Nobody waits any more. */
  close(): void {
    this.lost();
    for (const { settle } of this.#waiting.splice(0)) settle(refused({ code: 'closed', retry: true }));
  }

  #answered(answer: Answer | undefined): void {
    if (!answer || (!answer.ok && answer.error.retry)) {
      const waitMs = answer && !answer.ok ? (answer.error.retryAfter ?? 0) * 1_000 : 0;
      this.#timer = setTimeout(() => this.resume(), Math.max(RETRY_MS, waitMs));
      return;
    }
    this.#waiting.shift()?.settle(answer);
    this.resume();
  }
}

function refused(error: Refusal): Answer {
  return { ok: false, error };
}
