import { signal } from '@preact/signals';
import type { Location, Trip, TripEvent } from '../api/types';
import type { Connection } from '../realtime/connection';
import { Membership } from '../realtime/membership';
import type { RoomEvent, TripJoined } from '../realtime/protocol';
import { fetchEvents, fetchRecent, fetchTrack, fetchTrip, inTimeOrder } from './routes';

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
  readonly #connection: Connection;
  readonly #abort = new AbortController();

  constructor(connection: Connection, tripId: string, known: Trip | undefined) {
    this.#connection = connection;
    this.tripId = tripId;
    if (known) this.trip.value = { kind: 'ready', value: known };
    this.#load();
    this.#enter();
  }

  close(): void {
    this.#abort.abort();
    this.#connection.leave(this.tripId, 'trip:leave', { tripId: this.tripId });
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

  #enter(): void {
    const membership = new Membership<TripJoined>(this.#connection.socket, {
      join: 'trip:join',
      params: { tripId: this.tripId },
      onSnapshot: ({ trip, position }) => {
        if (trip) this.trip.value = { kind: 'ready', value: trip };
        if (position) this.#addFixes([position], []);
      },
      onEvent: (event) => this.apply(event),
      // REST has shown the trip all the same; it is only not live then.
      onRefused: () => undefined,
    });
    this.#connection.enter(this.tripId, membership);
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
