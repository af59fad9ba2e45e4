import { expect, it } from 'vitest';
import type { Row } from '../fleet/vehicle';
import { unwrapLine, unwrapPolygons } from './antimeridian';
import { fleetBounds } from './camera';
import { kilometreGrid } from './grid';
import { Tails } from './tails';

const at = (longitude: number, latitude: number) => ({ position: { longitude, latitude } }) as Row;

it('draws grid lines a kilometre apart that stay put while the map moves', () => {
  const first = kilometreGrid({ west: -97.8, south: 30.2, east: -97.7, north: 30.3 });
  const moved = kilometreGrid({ west: -97.79, south: 30.2, east: -97.69, north: 30.3 });
  const longitudes = (grid: GeoJSON.FeatureCollection) =>
    grid.features.map((each) => (each.geometry as GeoJSON.LineString).coordinates[0]?.[0]);
  expect(first.features.length).toBeGreaterThan(15);
  expect(longitudes(moved)).toContain(longitudes(first)[5]);
});

it('draws no grid where its lines would be a haze', () => {
  expect(kilometreGrid({ west: -100, south: 20, east: -80, north: 40 }).features).toEqual([]);
});

it('fits the whole of a city fleet, and leaves strays out of a scattered one', () => {
  const city = Array.from({ length: 20 }, (_, index) => at(-97.7 + index / 100, 30.2));
  expect(fleetBounds(city)).toMatchObject({ west: -97.7, south: 30.2, north: 30.2 });
  expect(fleetBounds([...city, at(0, 0)])?.east).toBeLessThan(-97);
  expect(fleetBounds([])).toBeUndefined();
});

it('carries a ring on past the 180th meridian instead of back across the world', () => {
  const line = unwrapLine([
    [170, 60],
    [-170, 60],
    [-170, 70],
    [170, 70],
  ]);
  expect(line.map(([longitude]) => longitude)).toEqual([170, 190, 190, 170]);
});

it('closes a ring round the pole along the edge of the map', () => {
  const antarctica = [-180, -90, 0, 90, 180].map((longitude) => [longitude, -70]);
  const ring = unwrapPolygons([[antarctica]])[0]?.[0] ?? [];
  expect(ring.slice(-3)).toEqual([
    [180, -90],
    [-180, -90],
    [-180, -70],
  ]);
});

it('draws the way a vehicle came, up to its marker, and nothing for one that is silent or has jumped', () => {
  const tails = new Tails();
  const moving = (longitude: number) => ({ ...at(longitude, 30), id: 'a', state: 'moving' }) as Row;
  const marker = () => ({ longitude: -97.695, latitude: 30 });
  for (const longitude of [-97.71, -97.7, -97.7, -97.69]) tails.note([moving(longitude)]);
  expect(tails.lines(marker).coordinates[0]?.map(([longitude]) => longitude)).toEqual([
    -97.71, -97.7, -97.695,
  ]);
  tails.note([moving(-90)]);
  expect(tails.lines(marker).coordinates).toEqual([]);
  tails.note([{ ...moving(-90), state: 'silent' }]);
  tails.note([moving(-90.001)]);
  expect(tails.lines(marker).coordinates).toEqual([]);
});
