/** What the server sends. A field that is absent or null is unknown: never zero, never "no". */
export type Maybe<T> = T | null | undefined;

export type TripStatus = 'planned' | 'started' | 'completed' | 'cancelled';
export type EventKind = 'created' | 'changed' | 'started' | 'completed' | 'cancelled';

export type Role = 'owner' | 'dispatcher' | 'accountant' | 'driver' | 'viewer';

export interface User {
  id: string;
  name?: Maybe<string>;
  phone?: Maybe<string>;
  email?: Maybe<string>;
  role?: Maybe<Role>;
  orgId?: Maybe<string>;
  orgName?: Maybe<string>;
}

export interface Trip {
  id: string;
  status: TripStatus;
  reference?: Maybe<string>;
  driverId?: Maybe<string>;
  driverName?: Maybe<string>;
  truckId?: Maybe<string>;
  truckName?: Maybe<string>;
  customerName?: Maybe<string>;
  origin?: Maybe<string>;
  destination?: Maybe<string>;
  plannedStartAt?: Maybe<string>;
  startedAt?: Maybe<string>;
  completedAt?: Maybe<string>;
  cancelledAt?: Maybe<string>;
  createdAt?: Maybe<string>;
  version?: Maybe<number>;
}

/** One fix: WGS 84 degrees, metres, metres a second, degrees from north, battery in percent. */
export interface Location {
  latitude: number;
  longitude: number;
  recordedAt: string;
  receivedAt?: Maybe<string>;
  accuracy?: Maybe<number>;
  speed?: Maybe<number>;
  heading?: Maybe<number>;
  altitude?: Maybe<number>;
  battery?: Maybe<number>;
  flags?: Maybe<string[]>;
}

/** The newest good fix of a vehicle. */
export interface Position extends Location {
  vehicleId: string;
  vehicleName?: Maybe<string>;
  tripId?: Maybe<string>;
  driverId?: Maybe<string>;
  deviceId?: Maybe<string>;
  /** The time of the one it replaces, which turned out to be a jump: the only case of going back. */
  withdrawn?: Maybe<string>;
}

export interface TripEvent {
  eventId: string;
  tripId: string;
  kind: EventKind;
  at: string;
  actorName?: Maybe<string>;
  data?: Maybe<Record<string, unknown>>;
}

export interface Page<T> {
  data: T[];
  nextCursor?: Maybe<string>;
  hasMore?: Maybe<boolean>;
}

/** RFC 9457. */
export interface Problem {
  title?: Maybe<string>;
  status?: Maybe<number>;
  detail?: Maybe<string>;
  code?: Maybe<string>;
  requestId?: Maybe<string>;
  errors?: Maybe<{ field: string; detail: string }[]>;
  /** With `choose-organisation`. */
  organisations?: Maybe<Organisation[]>;
}

export interface Organisation {
  orgId: string;
  name: string;
}
