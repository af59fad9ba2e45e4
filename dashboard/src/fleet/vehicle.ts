import type { Position, Trip } from '../api/types';

/** In the order of the filter chips. `silent` is "no signal". */
export type VehicleState = 'moving' | 'stopped' | 'silent';
export const VEHICLE_STATES: readonly VehicleState[] = ['moving', 'stopped', 'silent'];
export const STATE_LABELS: Record<VehicleState, string> = {
  moving: 'Moving',
  stopped: 'Stopped',
  silent: 'No signal',
};

export interface Vehicle {
  id: string;
  name: string;
  /** Undefined for a running trip whose vehicle has never been heard of. */
  position: Position | undefined;
  /** The position's time in ms; 0 without a position. */
  recordedAtMs: number;
  /** As reported; else from the last two fixes; undefined if neither tells. */
  speedMps: number | undefined;
  headingDeg: number | undefined;
  tripId: string | undefined;
}

export interface Row extends Vehicle {
  state: VehicleState;
  trip: Trip | undefined;
}

export const SILENT_AFTER_MS = 60_000;
/** A walking pace is movement, GNSS noise of a parked van is not. */
const MOVING_MPS = 1;
/** Shorter than this, and the direction between two fixes is noise. */
const MIN_MOVE_M = 8;
const EARTH_RADIUS_M = 6_371_000;
const RAD = Math.PI / 180;

export function stateOf(vehicle: Vehicle, nowMs: number): VehicleState {
  if (!vehicle.position || nowMs - vehicle.recordedAtMs > SILENT_AFTER_MS) return 'silent';
  return (vehicle.speedMps ?? 0) > MOVING_MPS ? 'moving' : 'stopped';
}

/**
 * The vehicle after `position`, or `before` itself when that is newer: the marker never goes back, but for a place that
 * turned out to be a jump and is taken back as such.
 *
 * A position need not carry speed or heading; the move since the last fix then tells them.
 */
export function advance(before: Vehicle | undefined, position: Position): Vehicle {
  const recordedAtMs = Date.parse(position.recordedAt);
  const takenBackMs = position.withdrawn ? Date.parse(position.withdrawn) : -Infinity;
  if (before && recordedAtMs < before.recordedAtMs && takenBackMs < before.recordedAtMs) return before;
  const move = before?.position ? moveBetween(before.position, position) : undefined;
  const seconds = (recordedAtMs - (before?.recordedAtMs ?? 0)) / 1_000;
  const apparentMps = move && seconds > 0 ? move.distanceM / seconds : before?.speedMps;
  const moved = move !== undefined && move.distanceM >= MIN_MOVE_M;
  return {
    id: position.vehicleId,
    name: position.vehicleName ?? before?.name ?? shortId(position.vehicleId),
    position,
    recordedAtMs,
    speedMps: position.speed ?? apparentMps,
    headingDeg: position.heading ?? (moved ? move.bearingDeg : before?.headingDeg),
    tripId: position.tripId ?? undefined,
  };
}

interface Point {
  latitude: number;
  longitude: number;
}

/** Flat-earth distance (metres) and bearing (degrees from north): exact enough between two fixes. */
export function moveBetween(a: Point, b: Point): { distanceM: number; bearingDeg: number } {
  const east = (b.longitude - a.longitude) * RAD * Math.cos(((a.latitude + b.latitude) / 2) * RAD);
  const north = (b.latitude - a.latitude) * RAD;
  return {
    distanceM: Math.hypot(east, north) * EARTH_RADIUS_M,
    bearingDeg: (Math.atan2(east, north) / RAD + 360) % 360,
  };
}

export function shortId(id: string): string {
  return id.length > 12 ? `…${id.slice(-6)}` : id;
}
