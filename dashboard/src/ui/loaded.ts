import { signal } from '@preact/signals';
import { useEffect, useMemo } from 'preact/hooks';
import { get } from '../session/call';
import { explain } from './explain';

/** One answer of the server's, asked for again every so often while somebody looks. */
export class Loaded<T> {
  readonly value = signal<T | undefined>(undefined);
  /** Why there is nothing to show; once there is something, it stays. */
  readonly error = signal<string | undefined>(undefined);
  readonly #path: string;
  readonly #abort = new AbortController();
  readonly #timer: ReturnType<typeof setInterval>;

  constructor(path: string, everyMs: number) {
    this.#path = path;
    this.#timer = setInterval(() => {
      if (document.visibilityState === 'visible') void this.load();
    }, everyMs);
    void this.load();
  }

  async load(): Promise<void> {
    const { signal: aborted } = this.#abort;
    try {
      const answer = await get<T>(this.#path, { signal: aborted });
      if (aborted.aborted) return;
      this.value.value = answer;
      this.error.value = undefined;
    } catch (error) {
      if (!aborted.aborted && this.value.value === undefined) this.error.value = explain(error);
    }
  }

  close(): void {
    clearInterval(this.#timer);
    this.#abort.abort();
  }
}

/** A `Loaded` for as long as the component shows this `path`. */
export function useLoaded<T>(path: string, everyMs: number): Loaded<T> {
  const loaded = useMemo(() => new Loaded<T>(path, everyMs), [path, everyMs]);
  useEffect(() => () => loaded.close(), [loaded]);
  return loaded;
}
