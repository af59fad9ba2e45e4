import { computed, signal } from '@preact/signals';
import { fetchHeard, type HeardBriefly } from './quality';

const EVERY_MS = 20_000;

/** How every device of the organisation is heard of; asked for again while somebody looks. */
export class Qualities {
  readonly #heard = signal<readonly HeardBriefly[]>([]);
  readonly #abort = new AbortController();
  readonly #timer: ReturnType<typeof setInterval>;
  #isAsking = false;

  readonly byDevice = computed(() => new Map(this.#heard.value.map((each) => [each.deviceId, each])));

  /** Of several devices in a vehicle the one that was heard of last. */
  readonly byVehicle = computed(() => {
    const newest = new Map<string, HeardBriefly>();
    for (const each of this.#heard.value) {
      const other = newest.get(each.vehicleId);
      if (!other || heardMs(each) > heardMs(other)) newest.set(each.vehicleId, each);
    }
    return newest;
  });

  constructor() {
    this.#timer = setInterval(() => {
      if (document.visibilityState === 'visible') void this.ask();
    }, EVERY_MS);
    void this.ask();
  }

  /** What came before stays until the answer is there, and where there is none. */
  async ask(): Promise<void> {
    if (this.#isAsking) return;
    this.#isAsking = true;
    try {
      const heard = await fetchHeard(this.#abort.signal);
      if (!this.#abort.signal.aborted) this.#heard.value = heard;
    } catch {
      // The connection pill says that the server is away; these states are an addition.
    } finally {
      this.#isAsking = false;
    }
  }

  close(): void {
    clearInterval(this.#timer);
    this.#abort.abort();
  }
}

function heardMs({ heardAt }: HeardBriefly): number {
  return heardAt ? Date.parse(heardAt) : 0;
}
