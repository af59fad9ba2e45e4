import type { Row } from '../fleet/vehicle';
import type { Bounds } from './grid';

/** Farther than this (degrees) from the middle of the fleet, and a vehicle is left out of the first view. */
const STRAY_DEGREES = 1.5;

/**
 * The box that shows the fleet; undefined without a position. A few strays must not turn it into a map of the world; a
 * fleet that is really that wide is shown whole.
 */
export function fleetBounds(rows: readonly Row[]): Bounds | undefined {
  const places = rows.flatMap(({ position }) => (position ? [position] : []));
  if (places.length === 0) return undefined;
  const middle = {
    longitude: median(places.map((place) => place.longitude)),
    latitude: median(places.map((place) => place.latitude)),
  };
  const near = places.filter(
    (place) =>
      Math.abs(place.longitude - middle.longitude) <= STRAY_DEGREES &&
      Math.abs(place.latitude - middle.latitude) <= STRAY_DEGREES,
  );
  const shown = near.length > places.length / 2 ? near : places;
  const longitudes = shown.map((place) => place.longitude);
  const latitudes = shown.map((place) => place.latitude);
  return {
    west: Math.min(...longitudes),
    south: Math.min(...latitudes),
    east: Math.max(...longitudes),
    north: Math.max(...latitudes),
  };
}

function median(values: number[]): number {
  return values.sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}
