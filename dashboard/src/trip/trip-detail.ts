import { signal } from '@preact/signals';
import type { Location, Trip, TripEvent } from '../api/types';
import type { Connection } from '../realtime/connection';
import type { RoomEvent, TripJoined } from '../realtime/protocol';
import { fetchEvents, fetchRecent, fetchTrack, fetchTrip, inTimeOrder } from './routes';
import { watchersOf, type Watcher } from './watching';

export const RECENT_FIXES = 20;
const MAX_EVENTS = 50;

/** A part of the panel: not yet here, here, or not to be had. */
export type Loadable<T> =
  { kind: 'loading' } | { kind: 'ready'; value: T } | { kind: 'failed'; detail: string };

const LOADING = { kind: 'loading' } as const;

/** All that the panel shows of one trip: from REST at first, then from the trip's room. */
export class TripDetail {
  readonly tripId: string;
  readonly trip = signal<Loadable<Trip>>(LOADING);
  /** Newest first. */
  readonly events = signal<Loadable<TripEvent[]>>(LOADING);
  /** The last RECENT_FIXES, in time order. */
  readonly recent = signal<Loadable<Location[]>>(LOADING);
  /** Undefined while the track is not shown. */
  readonly track = signal<Loadable<Location[]> | undefined>(undefined);
  /** Who has it open now, oneself too; as the server last said. */
  readonly watchers = signal<readonly Watcher[]>([]);
  readonly #leave: () => void;
  readonly #abort = new AbortController();
  #isJoined = false;

  constructor(connection: Connection, tripId: string, known: Trip | undefined) {
    this.tripId = tripId;
    if (known) this.trip.value = { kind: 'ready', value: known };
    this.#load();
    this.#leave = this.#enter(connection);
  }

  close(): void {
    this.#abort.abort();
    this.#leave();
  }

  toggleTrack(): void {
    if (this.track.value) this.track.value = undefined;
    else void this.#into(this.track, fetchTrack(this.tripId, this.#abort.signal));
  }

  retry(): void {
    this.#load();
  }

  #load(): void {
    const { signal: aborted } = this.#abort;
    void this.#into(this.trip, fetchTrip(this.tripId, aborted));
    void this.#into(this.events, fetchEvents(this.tripId, aborted), mergeEvents);
    void this.#into(this.recent, fetchRecent(this.tripId, RECENT_FIXES, aborted), mergeRecent);
  }

  #enter(connection: Connection): () => void {
    const deafen = connection.on('trip:watchers', (payload) => {
      this.watchers.value = watchersOf(payload, this.tripId) ?? this.watchers.value;
    });
    const leave = connection.joinTrip(this.tripId, {
      onSnapshot: (ack) => this.#reset(ack),
      onEvent: (event) => this.apply(event),
      // REST has shown the trip all the same; it is only not live then.
      onRefused: () => undefined,
    });
    return () => {
      deafen();
      leave();
    };
  }

  /** The trip as it is. After the first one something was missed: what the snapshot does not hold is read again. */
  #reset({ trip, position }: TripJoined): void {
    if (this.#isJoined) {
      if (this.recent.value.kind === 'ready') this.recent.value = { kind: 'ready', value: [] };
      this.#load();
      if (this.track.value) void this.#into(this.track, fetchTrack(this.tripId, this.#abort.signal));
    }
    this.#isJoined = true;
    if (trip) this.trip.value = { kind: 'ready', value: trip };
    if (position) this.#addFixes([position], []);
  }

  apply(event: RoomEvent): void {
    if (event.name === 'trip:location')
      return this.#addFixes(event.payload.locations, event.payload.withdrawn ?? []);
    if (event.name !== 'trip:event') return;
    const { trip, eventId, tripId, kind, at, actorName, data } = event.payload;
    if (trip) this.trip.value = { kind: 'ready', value: trip };
    const known = this.events.value.kind === 'ready' ? this.events.value.value : [];
    this.events.value = {
      kind: 'ready',
      value: mergeEvents([{ eventId, tripId, kind, at, actorName, data }], known),
    };
  }

  /** `withdrawn`: the times of those told before that turned out to be jumps. */
  #addFixes(fixes: Location[], withdrawn: string[]): void {
    const kept = (known: Location[]) => known.filter((fix) => !withdrawn.includes(fix.recordedAt));
    if (this.recent.value.kind === 'ready')
      this.recent.value = { kind: 'ready', value: mergeRecent(fixes, kept(this.recent.value.value)) };
    if (this.track.value?.kind === 'ready')
      this.track.value = { kind: 'ready', value: mergeFixes(fixes, kept(this.track.value.value)) };
  }

  /** Put an answer into its signal, `merge`d with what live events put there meanwhile. */
  async #into<T>(
    target: { value: Loadable<T> | undefined },
    answer: Promise<T>,
    merge: (answer: T, live: T) => T = (fresh) => fresh,
  ): Promise<void> {
    if (target.value?.kind !== 'ready') target.value = LOADING;
    try {
      const value = await answer;
      const live = target.value?.kind === 'ready' ? target.value.value : undefined;
      target.value = { kind: 'ready', value: live === undefined ? value : merge(value, live) };
    } catch (error) {
      if (this.#abort.signal.aborted || target.value?.kind === 'ready') return;
      target.value = { kind: 'failed', detail: error instanceof Error ? error.message : 'Not available.' };
    }
  }
}

/** Newest first, each id once: an event may come by REST, by the trip's room and by the fleet's. */
export function mergeEvents(some: readonly TripEvent[], more: readonly TripEvent[]): TripEvent[] {
  const byId = new Map([...more, ...some].map((event) => [event.eventId, event]));
  return [...byId.values()].sort((a, b) => Date.parse(b.at) - Date.parse(a.at)).slice(0, MAX_EVENTS);
}

/** In time order, each time once. */
export function mergeFixes(some: readonly Location[], more: readonly Location[]): Location[] {
  return inTimeOrder([...new Map([...more, ...some].map((fix) => [fix.recordedAt, fix])).values()]);
}

function mergeRecent(some: readonly Location[], more: readonly Location[]): Location[] {
  return mergeFixes(some, more).slice(-RECENT_FIXES);
}
