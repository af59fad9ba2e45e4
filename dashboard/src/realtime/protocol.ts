import type { EventKind, Location, Maybe, Position, Trip } from '../api/types';
import type { Mark, Sequenced } from './room';

/** The Socket.IO events and acks of a Waypost server (docs/protocol.md). */
export interface FleetPositions extends Sequenced {
  positions: Position[];
}

export interface TripLocation extends Sequenced {
  tripId: string;
  locations: Location[];
  /** The times of fixes told before that turned out to be jumps. */
  withdrawn?: Maybe<string[]>;
}

export interface TripChange extends Sequenced {
  tripId: string;
  eventId: string;
  kind: EventKind;
  at: string;
  /** Whose `seq` this is; the same event goes to both rooms. */
  room?: Maybe<'trip' | 'fleet'>;
  actorName?: Maybe<string>;
  data?: Maybe<Record<string, unknown>>;
  trip?: Maybe<Trip>;
}

/** An event with its name and its place. */
export interface PlacedEvent extends Sequenced {
  name: string;
  eventId: string | undefined;
  payload: object;
}

/** An event of a room that one joins. `other`: one that this client does not know; it counts too. */
export type RoomEvent = PlacedEvent &
  (
    | { name: 'fleet:positions'; payload: FleetPositions }
    | { name: 'trip:location'; payload: TripLocation }
    | { name: 'trip:event'; payload: TripChange }
    | { name: 'other'; payload: Sequenced & Record<string, unknown> }
  );

export interface Refusal {
  code: string;
  detail?: Maybe<string>;
  /** The very same may succeed later. */
  retry?: Maybe<boolean>;
  /** Seconds. */
  retryAfter?: Maybe<number>;
}

/** Where a room stands. `recovered`: `missed` holds what came since the client's `since`; else this is a snapshot. */
export interface Entered extends Mark {
  recovered?: Maybe<boolean>;
  missed?: Maybe<unknown[]>;
}

export interface Joined extends Entered {
  ok: true;
}

/** Of `own:join`: the rooms that a person's connection is in from the beginning. */
export interface OwnJoined {
  ok: true;
  rooms: { person?: Maybe<Entered>; staff?: Maybe<Entered> };
}

export interface FleetJoined extends Joined {
  trips?: Maybe<Trip[]>;
  positions?: Maybe<Position[]>;
}

export interface TripJoined extends Joined {
  trip?: Maybe<Trip>;
  position?: Maybe<Position>;
}

export type Ack<T> = T | { ok: false; error: Refusal };

/** Codes after which only another token helps. */
export function endsSession(code: string): boolean {
  return code === 'token-expired' || code === 'token-invalid' || code === 'token-missing';
}

type Fields = Record<string, unknown>;

/** An event that has a place in a room; undefined for one that has none. */
export function asPlaced(name: string, payload: unknown): PlacedEvent | undefined {
  if (typeof payload !== 'object' || payload === null) return undefined;
  const { epoch, seq, from, eventId } = payload as Sequenced & { eventId?: unknown };
  if (typeof epoch !== 'string' || typeof seq !== 'number') return undefined;
  return { epoch, seq, from, name, eventId: typeof eventId === 'string' ? eventId : undefined, payload };
}

/** An event of a room that one joins; undefined for one of a room that one is in from the beginning. */
export function asRoomEvent(event: PlacedEvent): RoomEvent | undefined {
  if (!/^(trip|fleet):/.test(event.name)) return undefined;
  return (isKnown(event) ? event : { ...event, name: 'other' }) as RoomEvent;
}

/** What an ack recovered; undefined if it holds a snapshot. */
export function missedOf(ack: Entered): PlacedEvent[] | undefined {
  if (!ack.recovered) return undefined;
  return (ack.missed ?? []).flatMap((each) => {
    const { event, data } = (each ?? {}) as { event?: unknown; data?: unknown };
    return (typeof event === 'string' && asPlaced(event, data)) || [];
  });
}

/** `fleet`, or the id of the trip. */
export function roomKey({ name, payload }: PlacedEvent): string | undefined {
  const { room, tripId } = payload as Fields;
  if (name.startsWith('fleet:') || room === 'fleet') return 'fleet';
  return typeof tripId === 'string' ? tripId : undefined;
}

function isKnown({ name, payload }: PlacedEvent): boolean {
  const { positions, locations, eventId } = payload as Fields;
  return (
    (name === 'fleet:positions' && Array.isArray(positions)) ||
    (name === 'trip:location' && Array.isArray(locations)) ||
    (name === 'trip:event' && typeof eventId === 'string')
  );
}
