export interface Bounds {
  west: number;
  south: number;
  east: number;
  north: number;
}

const KM_PER_DEGREE = 111.195;
/** Every fifth line is heavier. */
const MAJOR_EVERY = 5;
/** Wider than this and the lines would be a haze. */
const MAX_LINES = 160;

/**
 * Lines one kilometre apart over `bounds`: lengths and movement become readable where there are no streets.
 *
 * The step in longitude is that of the nearest whole degree of latitude, so that lines stay put while the map moves.
 */
export function kilometreGrid({ west, south, east, north }: Bounds): GeoJSON.FeatureCollection {
  const latitudeStep = 1 / KM_PER_DEGREE;
  const parallel = Math.min(85, Math.abs(Math.round((south + north) / 2)));
  const longitudeStep = latitudeStep / Math.cos((parallel * Math.PI) / 180);
  const features = [
    ...lines(west, east, longitudeStep, (x) => [
      [x, south],
      [x, north],
    ]),
    ...lines(south, north, latitudeStep, (y) => [
      [west, y],
      [east, y],
    ]),
  ];
  return { type: 'FeatureCollection', features };
}

function lines(from: number, to: number, step: number, at: (value: number) => number[][]): GeoJSON.Feature[] {
  const first = Math.ceil(from / step);
  const last = Math.floor(to / step);
  if (last - first > MAX_LINES) return [];
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, index) => ({
    type: 'Feature',
    geometry: { type: 'LineString', coordinates: at((first + index) * step) },
    properties: { major: (first + index) % MAJOR_EVERY === 0 },
  }));
}
