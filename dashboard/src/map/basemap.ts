import { feature, mesh } from 'topojson-client';
import type { GeometryCollection, Topology } from 'topojson-specification';
import { unwrapLine, unwrapPolygons } from './antimeridian';
import worldUrl from 'world-atlas/countries-50m.json?url';

export interface World {
  land: GeoJSON.GeoJSON;
  borders: GeoJSON.GeoJSON;
}

/** Natural Earth's land and borders at 1 : 50 million, from our own server. Throws if they cannot be had. */
export async function fetchWorld(): Promise<World> {
  const response = await fetch(worldUrl);
  if (!response.ok) throw new Error(`The base map answered ${response.status}`);
  const topology = (await response.json()) as Topology<{
    countries: GeometryCollection;
    land: GeometryCollection;
  }>;
  const land = feature(topology, topology.objects.land).features.flatMap(({ geometry }) =>
    polygonsOf(geometry),
  );
  const borders = mesh(topology, topology.objects.countries, (a, b) => a !== b);
  return {
    land: { type: 'MultiPolygon', coordinates: unwrapPolygons(land) },
    borders: { ...borders, coordinates: borders.coordinates.map(unwrapLine) },
  };
}

function polygonsOf(geometry: GeoJSON.Geometry): GeoJSON.Position[][][] {
  if (geometry.type === 'MultiPolygon') return geometry.coordinates;
  return geometry.type === 'Polygon' ? [geometry.coordinates] : [];
}
