import type {
  ExpressionSpecification,
  GeoJSONSourceSpecification,
  LayerSpecification,
  StyleSpecification,
  VectorSourceSpecification,
} from 'maplibre-gl';
import type { Palette } from './palette';
import { STREETS_TILES } from './streets';

/**
 * The whole style, without any server but our own: Natural Earth's land, a grid for the sense of motion, the streets
 * that the fleet has driven, the fleet.
 */
export type SourceId = 'land' | 'borders' | 'grid' | 'tails' | 'track' | 'fleet';

const EMPTY: GeoJSON.FeatureCollection = { type: 'FeatureCollection', features: [] };
const FONT = ['Inter Variable'];
/** Beyond zoom 13 its tiles are shown larger: the cells in them have one size on the ground anyway. */
const STREETS: VectorSourceSpecification = {
  type: 'vector',
  tiles: [STREETS_TILES],
  minzoom: 8,
  maxzoom: 13,
};

export function buildStyle(palette: Palette): StyleSpecification {
  const source = (maxzoom: number): GeoJSONSourceSpecification => ({ type: 'geojson', data: EMPTY, maxzoom });
  const sources: Record<SourceId, GeoJSONSourceSpecification> = {
    land: source(8),
    borders: source(8),
    grid: source(14),
    tails: source(12),
    track: source(14),
    // Few zoom levels are cut anew at each update.
    fleet: source(12),
  };
  return { version: 8, sources: { ...sources, streets: STREETS }, layers: layers(palette) };
}

/** From the ground up. */
export function layers(palette: Palette): LayerSpecification[] {
  return [
    ...ground(palette),
    ...grid(palette),
    ...streets(palette),
    ...tails(palette),
    ...track(palette),
    ...fleet(palette),
  ];
}

function ground(palette: Palette): LayerSpecification[] {
  return [
    { id: 'water', type: 'background', paint: { 'background-color': palette.water } },
    {
      id: 'land',
      type: 'fill',
      source: 'land',
      paint: { 'fill-color': palette.land, 'fill-antialias': true },
    },
    {
      id: 'borders',
      type: 'line',
      source: 'borders',
      paint: {
        'line-color': palette.border,
        'line-width': ['interpolate', ['linear'], ['zoom'], 2, 0.5, 8, 1.4],
      },
    },
  ];
}

function grid(palette: Palette): LayerSpecification[] {
  return [
    {
      id: 'grid',
      type: 'line',
      source: 'grid',
      minzoom: 9.5,
      paint: {
        'line-color': palette.grid,
        'line-width': ['case', ['get', 'major'], 1.4, 0.8],
        'line-opacity': [
          'interpolate',
          ['linear'],
          ['zoom'],
          9.5,
          0,
          10.5,
          ['case', ['get', 'major'], 1, 0],
          12,
          1,
        ],
      },
    },
  ];
}

/** Cells of 11 m as overlapping discs: a light street with a darker edge. The more it is driven, the broader it is. */
function streets(palette: Palette): LayerSpecification[] {
  const source = { source: 'streets', 'source-layer': 'streets', minzoom: 8 } as const;
  return [
    {
      id: 'street-casings',
      type: 'circle',
      ...source,
      paint: { 'circle-color': palette.streetCasing, 'circle-radius': streetRadius(1.25, 0.6) },
    },
    {
      id: 'streets',
      type: 'circle',
      ...source,
      paint: { 'circle-color': palette.street, 'circle-radius': streetRadius(1, 0) },
    },
  ];
}

/** In pixels, for each rank: `scale` times as broad as a street, and so much more. */
function streetRadius(scale: number, morePx: number): ExpressionSpecification {
  const at = (px: number): ExpressionSpecification => {
    const broad = (factor: number) => px * factor * scale + morePx;
    return ['match', ['get', 'rank'], 1, broad(0.8), 2, broad(1), broad(1.25)];
  };
  return ['interpolate', ['exponential', 1.7], ['zoom'], 8, at(0.9), 12, at(1.5), 15, at(6), 18, at(30)];
}

function tails(palette: Palette): LayerSpecification[] {
  return [
    {
      id: 'tails',
      type: 'line',
      source: 'tails',
      minzoom: 9,
      layout: { 'line-cap': 'round', 'line-join': 'round' },
      paint: {
        'line-color': palette.moving,
        'line-opacity': 0.35,
        'line-width': ['interpolate', ['linear'], ['zoom'], 9, 1.5, 14, 4],
      },
    },
  ];
}

function track(palette: Palette): LayerSpecification[] {
  const layout = { 'line-cap': 'round', 'line-join': 'round' } as const;
  return [
    {
      id: 'track-casing',
      type: 'line',
      source: 'track',
      layout,
      paint: { 'line-color': palette.outline, 'line-width': 7, 'line-opacity': 0.9 },
    },
    {
      id: 'track',
      type: 'line',
      source: 'track',
      layout,
      paint: { 'line-color': palette.accent, 'line-width': 3.5 },
    },
  ];
}

const MARKER_SCALE = ['interpolate', ['linear'], ['zoom'], 7, 0.42, 9, 0.58, 11, 0.76, 14, 1] as const;

function fleet(palette: Palette): LayerSpecification[] {
  return [
    {
      id: 'selection',
      type: 'circle',
      source: 'fleet',
      filter: ['==', ['get', 'selected'], true],
      paint: {
        'circle-radius': ['interpolate', ['linear'], ['zoom'], 8, 13, 14, 21],
        'circle-color': palette.accent,
        'circle-opacity': 0.18,
        'circle-stroke-color': palette.accent,
        'circle-stroke-width': 2,
      },
    },
    {
      id: 'vehicles',
      type: 'symbol',
      source: 'fleet',
      layout: {
        'icon-image': ['get', 'icon'],
        'icon-rotate': ['get', 'heading'],
        'icon-rotation-alignment': 'map',
        'icon-allow-overlap': true,
        'icon-ignore-placement': true,
        'icon-size': MARKER_SCALE as unknown as number,
        'symbol-sort-key': ['get', 'rank'],
      },
    },
    {
      // Apart from the markers, so that a name never costs a marker its place.
      id: 'names',
      type: 'symbol',
      source: 'fleet',
      minzoom: 10.5,
      layout: {
        'text-field': ['get', 'name'],
        'text-font': FONT,
        'text-size': ['interpolate', ['linear'], ['zoom'], 10.5, 11, 15, 12.5],
        'text-variable-anchor': ['top', 'bottom', 'left', 'right'],
        'text-radial-offset': 1.15,
        'text-padding': 4,
        'text-optional': true,
        'symbol-sort-key': ['-', 0, ['get', 'rank']],
      },
      paint: { 'text-color': palette.label, 'text-halo-color': palette.halo, 'text-halo-width': 1.6 },
    },
  ];
}
