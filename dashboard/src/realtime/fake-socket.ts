import { vi } from 'vitest';

type Answer = (error: Error | null, ack?: unknown) => void;
type Listener = (...args: never[]) => void;

/** For tests: a socket that remembers what was emitted and done, and lets the test be the server. */
export class FakeSocket {
  connected = false;
  /** Does socket.io come back by itself? */
  active = true;
  readonly sent: { event: string; data: Record<string, unknown>; answer: Answer }[] = [];
  readonly connect = vi.fn();
  readonly #listeners = new Map<string, Listener>();
  #any: Listener = () => undefined;

  on(name: string, listener: Listener): void {
    this.#listeners.set(name, listener);
  }

  onAny(listener: Listener): void {
    this.#any = listener;
  }

  removeAllListeners(): void {
    this.#listeners.clear();
  }

  offAny(): void {
    this.#any = () => undefined;
  }

  timeout(): FakeSocket {
    return this;
  }

  emit(event: string, data: Record<string, unknown>, answer: Answer = () => undefined): void {
    this.sent.push({ event, data, answer });
  }

  disconnect(): void {
    this.loses('io client disconnect');
  }

  /** What of this event was sent. */
  asked(event: string): FakeSocket['sent'] {
    return this.sent.filter((each) => each.event === event);
  }

  last(event: string): FakeSocket['sent'][number] {
    const call = this.asked(event).at(-1);
    if (!call) throw new Error(`no ${event} was sent`);
    return call;
  }

  opens(): void {
    this.connected = this.active = true;
    this.#fire('connect');
  }

  loses(reason: string): void {
    this.connected = false;
    this.active = !reason.startsWith('io ');
    this.#fire('disconnect', reason);
  }

  refuses(data: object): void {
    this.active = false;
    this.#fire('connect_error', Object.assign(new Error('refused'), { data }));
  }

  says(name: string, payload?: unknown): void {
    (this.#any as (...args: unknown[]) => void)(name, payload);
  }

  #fire(name: string, ...args: unknown[]): void {
    (this.#listeners.get(name) as ((...args: unknown[]) => void) | undefined)?.(...args);
  }
}
