import type { EventKind, Location, Maybe, Position, Trip } from '../api/types';
import type { Mark, Sequenced } from './room';

/** The Socket.IO events and acks that the dashboard uses (DESIGN.md, section 5). */
export interface FleetPositions extends Sequenced {
  positions: Position[];
}

export interface TripLocation extends Sequenced {
  tripId: string;
  locations: Location[];
  withdrawn?: string[];
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

/** An event of a room, with its name; what `Room` orders. */
export type RoomEvent = Sequenced &
  (
    | { name: 'fleet:positions'; payload: FleetPositions }
    | { name: 'trip:location'; payload: TripLocation }
    | { name: 'trip:event'; payload: TripChange }
  );

export interface Refusal {
  code: string;
  detail?: Maybe<string>;
  retry?: Maybe<boolean>;
}

export interface Joined extends Mark {
  ok: true;
  recovered?: Maybe<boolean>;
  missed?: Maybe<unknown[]>;
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

/** Codes after which only signing in helps. */
export function endsSession(code: string): boolean {
  return code === 'token-expired' || code === 'token-invalid' || code === 'token-missing';
}

/** The room event in `payload`, named or, as in an ack's `missed`, told by its shape; undefined if it is none of ours. */
export function asRoomEvent(payload: unknown, name?: string): RoomEvent | undefined {
  if (typeof payload !== 'object' || payload === null) return undefined;
  const fields = payload as Record<string, unknown>;
  if (typeof fields['event'] === 'string' && fields['data'])
    return asRoomEvent(fields['data'], fields['event']);
  const { epoch, seq, from } = fields as unknown as Sequenced;
  if (typeof epoch !== 'string' || typeof seq !== 'number') return undefined;
  const place = { epoch, seq, from };
  if ((name ?? 'fleet:positions') === 'fleet:positions' && Array.isArray(fields['positions']))
    return { ...place, name: 'fleet:positions', payload: payload as FleetPositions };
  if ((name ?? 'trip:location') === 'trip:location' && Array.isArray(fields['locations']))
    return { ...place, name: 'trip:location', payload: payload as TripLocation };
  if ((name ?? 'trip:event') === 'trip:event' && typeof fields['eventId'] === 'string')
    return { ...place, name: 'trip:event', payload: payload as TripChange };
  return undefined;
}
