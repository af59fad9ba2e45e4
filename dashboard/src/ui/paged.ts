import { signal } from '@preact/signals';
import type { Maybe, Page } from '../api/types';
import { get } from '../session/call';
import { explain } from './explain';

const PAGE_LIMIT = 50;

/** A list of the server's, page after page, and what was changed in it here. */
export class Paged<T> {
  readonly rows = signal<readonly T[]>([]);
  readonly state = signal<'loading' | 'ready' | 'failed'>('loading');
  readonly hasMore = signal(false);
  readonly isLoadingMore = signal(false);
  /** Why the first page, or the next one, did not come. */
  readonly error = signal<string | undefined>(undefined);
  readonly #path: string;
  readonly #idOf: (row: T) => string;
  readonly #abort = new AbortController();
  #cursor: Maybe<string>;

  /** `path` with its filters, without `limit` and `cursor`. */
  constructor(path: string, idOf: (row: T) => string) {
    this.#path = path;
    this.#idOf = idOf;
    void this.load();
  }

  close(): void {
    this.#abort.abort();
  }

  async load(): Promise<void> {
    this.state.value = 'loading';
    this.#cursor = undefined;
    await this.#fetch(
      (page) => {
        this.rows.value = page.data;
        this.state.value = 'ready';
      },
      () => (this.state.value = 'failed'),
    );
  }

  async more(): Promise<void> {
    if (this.isLoadingMore.value || !this.hasMore.value) return;
    this.isLoadingMore.value = true;
    await this.#fetch((page) => {
      const known = new Set(this.rows.value.map(this.#idOf));
      this.rows.value = [...this.rows.value, ...page.data.filter((row) => !known.has(this.#idOf(row)))];
    });
    this.isLoadingMore.value = false;
  }

  /** Put a row in the place of its former self, or at the top if it is new. */
  put(row: T): void {
    const id = this.#idOf(row);
    const isKnown = this.rows.value.some((each) => this.#idOf(each) === id);
    this.rows.value = isKnown
      ? this.rows.value.map((each) => (this.#idOf(each) === id ? row : each))
      : [row, ...this.rows.value];
  }

  drop(id: string): void {
    this.rows.value = this.rows.value.filter((each) => this.#idOf(each) !== id);
  }

  async #fetch(onPage: (page: Page<T>) => void, onFailure: () => void = () => undefined): Promise<void> {
    this.error.value = undefined;
    const { signal: aborted } = this.#abort;
    try {
      const page = await get<Page<T>>(this.#address(), { signal: aborted });
      if (aborted.aborted) return;
      this.#cursor = page.nextCursor;
      this.hasMore.value = Boolean(page.nextCursor);
      onPage(page);
    } catch (error) {
      if (aborted.aborted) return;
      this.error.value = explain(error);
      onFailure();
    }
  }

  #address(): string {
    const params = new URLSearchParams({ limit: String(PAGE_LIMIT) });
    if (this.#cursor) params.set('cursor', this.#cursor);
    return `${this.#path}${this.#path.includes('?') ? '&' : '?'}${params}`;
  }
}
