/** What must not come twice, and what must not go back. Times of the server are of one form: text compares as time does. */
interface Timed {
  recordedAt: string;
}

interface OfVehicle extends Timed {
  vehicleId: string;
  withdrawn?: string | null | undefined;
}

const MAX_SEEN = 2_000;
const MAX_STANDING = 50;

/** The ids of the last events, so that a repeat (a server that died half-way tells again) is known as one. */
export class Seen {
  readonly #ids = new Set<string>();

  /** Has it been here before? It has from now on. */
  isRepeat(id: string): boolean {
    if (this.#ids.has(id)) return true;
    this.#ids.add(id);
    const [oldest] = this.#ids;
    if (this.#ids.size > MAX_SEEN && oldest !== undefined) this.#ids.delete(oldest);
    return false;
  }
}

/**
 * The time of each vehicle's newest position: what is older is no news, unless it takes that back. `withdrawn` says up to
 * when: all that was told after the position itself, up to that time.
 */
export class NewestOfFleet {
  readonly #times = new Map<string, string>();

  /** A snapshot: it may also be older than what we know, which was then taken back while we were away. */
  reset(positions: readonly OfVehicle[]): void {
    this.#times.clear();
    for (const { vehicleId, recordedAt } of positions) this.#times.set(vehicleId, recordedAt);
  }

  /** Those of them that are to be shown. */
  news<P extends OfVehicle>(positions: readonly P[]): P[] {
    return positions.filter((position) => this.#isNews(position));
  }

  #isNews({ vehicleId, recordedAt, withdrawn }: OfVehicle): boolean {
    const known = this.#times.get(vehicleId);
    const isOld = known !== undefined && recordedAt < known;
    if (isOld && !(withdrawn && known <= withdrawn)) return false;
    this.#times.set(vehicleId, recordedAt);
    return true;
  }
}

/** Where a trip is: the newest of its fixes that stands. The last ones are kept for when it is taken back. */
export class NewestOfTrip<F extends Timed> {
  #standing: F[] = [];

  get position(): F | undefined {
    return this.#standing.at(-1);
  }

  reset(position: F | null | undefined): void {
    this.#standing = position ? [position] : [];
  }

  apply(fixes: readonly F[], withdrawn: readonly string[]): void {
    const known = new Map([...this.#standing, ...fixes].map((fix) => [fix.recordedAt, fix]));
    for (const at of withdrawn) known.delete(at);
    const inOrder = [...known.values()].sort((a, b) => (a.recordedAt < b.recordedAt ? -1 : 1));
    this.#standing = inOrder.slice(-MAX_STANDING);
  }
}
