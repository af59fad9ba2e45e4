import { computed, signal } from '@preact/signals';
import type { Position, Trip } from '../api/types';
import { now } from '../ui/clock';
import { advance, stateOf, type Row, type Vehicle } from './vehicle';

/** Positions may come many times a second; the page is told at most this often. */
const PUBLISH_MS = 400;
const byName = new Intl.Collator(undefined, { numeric: true, sensitivity: 'base' }).compare;

/** Every vehicle and running trip of the organisation, as the last snapshot and the events since tell. */
export class Fleet {
  readonly ready = signal(false);
  readonly #vehicles = new Map<string, Vehicle>();
  readonly #trips = new Map<string, Trip>();
  readonly #version = signal(0);
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** All vehicles by name, with their state at this second. */
  readonly rows = computed<Row[]>(() => {
    this.#version.value;
    const rows = [...this.#vehicles.values(), ...this.#unheard()].map((vehicle) => {
      const trip = vehicle.tripId === undefined ? undefined : this.#trips.get(vehicle.tripId);
      const name = isAnothers(vehicle) ? (trip?.reference ?? vehicle.name) : vehicle.name;
      return { ...vehicle, name, state: stateOf(vehicle, now.value), trip };
    });
    return rows.sort((a, b) => byName(a.name, b.name));
  });

  readonly runningTrips = computed(() => {
    this.#version.value;
    return this.#trips.size;
  });

  /**
   * Some vehicle was on the move when we last heard of the fleet, so more is due: silence then means trouble.
   *
   * Measured from the newest fix, not from now: else the silence itself would make the fleet look parked.
   */
  readonly isOnTheMove = computed(() => {
    this.#version.value;
    const vehicles = [...this.#vehicles.values()];
    const newestMs = vehicles.reduce((latest, vehicle) => Math.max(latest, vehicle.recordedAtMs), 0);
    return vehicles.some((vehicle) => stateOf(vehicle, newestMs) === 'moving');
  });

  /** A snapshot: what is not in it is gone, also a place newer than its own, which was a jump then. */
  reset(trips: readonly Trip[], positions: readonly Position[]): void {
    const newest = new Map(positions.map((each) => [each.vehicleId, Date.parse(each.recordedAt)]));
    for (const { id, recordedAtMs } of this.#vehicles.values())
      if (recordedAtMs > (newest.get(id) ?? -Infinity)) this.#vehicles.delete(id);
    this.#trips.clear();
    for (const trip of trips) this.#trips.set(trip.id, trip);
    this.#move(positions);
    this.#publish();
    this.ready.value = true; // last: who waits for it reads the rows at once
  }

  apply(positions: readonly Position[]): void {
    this.#move(positions);
    this.#timer ??= setTimeout(() => this.#publish(), PUBLISH_MS);
  }

  /** A trip changed: a running one is kept, any other leaves. An older version never replaces a newer. */
  applyTrip(trip: Trip): void {
    const known = this.#trips.get(trip.id);
    if (known && (trip.version ?? Infinity) < (known.version ?? 0)) return;
    if (trip.status === 'started') this.#trips.set(trip.id, trip);
    else this.#end(trip);
    this.#publish();
  }

  find(vehicleId: string): Row | undefined {
    return this.rows.value.find((row) => row.id === vehicleId);
  }

  close(): void {
    clearTimeout(this.#timer);
  }

  #move(positions: readonly Position[]): void {
    for (const position of positions)
      this.#vehicles.set(position.vehicleId, advance(this.#vehicles.get(position.vehicleId), position));
  }

  /** The trip is over: another organisation's vehicle that came with it is no longer ours to see. */
  #end(trip: Trip): void {
    this.#trips.delete(trip.id);
    for (const vehicle of this.#vehicles.values())
      if (vehicle.tripId === trip.id && isAnothers(vehicle)) this.#vehicles.delete(vehicle.id);
  }

  #publish(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#version.value += 1;
  }

  /** Running trips none of whose vehicle, driver or fixes has been heard of: they are shown too, as silent. */
  #unheard(): Vehicle[] {
    const heard = new Set<string>();
    for (const { id, position, tripId } of this.#vehicles.values())
      for (const key of [id, tripId, position?.driverId, position?.deviceId]) if (key) heard.add(key);
    const isHeard = (trip: Trip) =>
      [trip.id, trip.truckId, trip.driverId].some((key) => key && heard.has(key));
    return [...this.#trips.values()].filter((trip) => !isHeard(trip)).map(unheardVehicle);
  }
}

/** A vehicle on its way to us from another organisation: where it is we are told, not whose it is. */
function isAnothers(vehicle: Vehicle): boolean {
  return vehicle.position !== undefined && !vehicle.position.deviceId;
}

function unheardVehicle(trip: Trip): Vehicle {
  return {
    id: trip.truckId ?? trip.id,
    name: trip.truckName ?? trip.driverName ?? trip.reference ?? 'Unnamed vehicle',
    position: undefined,
    recordedAtMs: 0,
    speedMps: undefined,
    headingDeg: undefined,
    tripId: trip.id,
  };
}
