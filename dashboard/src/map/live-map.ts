import { effect, untracked } from '@preact/signals';
import {
  addProtocol,
  AttributionControl,
  Map as MapLibreMap,
  NavigationControl,
  ScaleControl,
  setWorkerUrl,
  type GeoJSONSource,
  type LngLatBoundsLike,
} from 'maplibre-gl';
import workerUrl from 'maplibre-gl/dist/maplibre-gl-worker.mjs?worker&url';
import 'maplibre-gl/dist/maplibre-gl.css';
import type { Console } from '../console';
import { isMapShown } from '../nav/route';
import { theme } from '../theme/theme';
import { fetchWorld } from './basemap';
import { fleetBounds } from './camera';
import { FleetLayer } from './fleet-layer';
import { kilometreGrid } from './grid';
import { putMarkers } from './markers';
import { readPalette } from './palette';
import { loadStreets, STREETS_SCHEME } from './streets';
import { buildStyle, layers, type SourceId } from './style';

setWorkerUrl(workerUrl);
addProtocol(STREETS_SCHEME, loadStreets);

/** A finger needs more room than a marker has. */
const TOUCH_PX = 12;
const GRID_MIN_ZOOM = 9.5;
const FOCUS_ZOOM = 13;

export interface LiveMap {
  showAll: () => void;
  close: () => void;
}

/** Make the map in `container`; `onReady` is called when it is drawn and holds the first snapshot. */
export async function openLiveMap(
  container: HTMLElement,
  console: Console,
  onReady: () => void,
): Promise<LiveMap> {
  // The labels are drawn with the page's own font, which must be there before the first of them.
  await document.fonts.load('600 12px "Inter Variable"');
  const map = new MapLibreMap({
    container,
    style: buildStyle(readPalette()),
    center: [0, 20],
    zoom: 1.2,
    minZoom: 1,
    maxZoom: 19,
    dragRotate: false,
    pitchWithRotate: false,
    attributionControl: false,
    fadeDuration: 120,
  });
  map.touchZoomRotate.disableRotation();
  map.keyboard.disableRotation();
  map.addControl(new NavigationControl({ showCompass: false }), 'top-right');
  map.addControl(new ScaleControl({ maxWidth: 110 }), 'bottom-left');
  map.addControl(
    new AttributionControl({ compact: false, customAttribution: 'Made with Natural Earth' }),
    'bottom-right',
  );

  const fleetLayer = new FleetLayer(map);
  await new Promise((resolve) => map.once('style.load', resolve));
  void fetchWorld().then(
    ({ land, borders }) => {
      setSource(map, 'land', land);
      setSource(map, 'borders', borders);
    },
    () => undefined, // without land the fleet is still worth seeing
  );
  const showAll = () => fit(map, console);
  const stops = [
    followTheme(map),
    drawGrid(map),
    showFleet(console, fleetLayer),
    showTrack(map, console),
    focusSelection(map, console),
    fitOnce(console, showAll, () =>
      map.once('idle', () => {
        fleetLayer.animate();
        onReady();
      }),
    ),
  ];
  selectByClick(map, console);
  return {
    showAll,
    close: () => {
      stops.forEach((stop) => stop());
      fleetLayer.close();
      map.remove();
    },
  };
}

type Stop = () => void;

function setSource(map: MapLibreMap, id: SourceId, data: GeoJSON.GeoJSON): void {
  void map.getSource<GeoJSONSource>(id)?.setData(data);
}

function followTheme(map: MapLibreMap): Stop {
  return effect(() => {
    theme.value;
    const palette = readPalette();
    putMarkers(map, palette);
    for (const layer of layers(palette))
      for (const [name, value] of Object.entries(layer.paint ?? {}))
        map.setPaintProperty(layer.id, name as never, value as never);
  });
}

function drawGrid(map: MapLibreMap): Stop {
  const draw = () => {
    if (map.getZoom() < GRID_MIN_ZOOM) return;
    const bounds = map.getBounds();
    const [west, south] = bounds.getSouthWest().toArray();
    const [east, north] = bounds.getNorthEast().toArray();
    // A margin, so that a drag does not run off the grid.
    const dx = (east - west) / 2;
    const dy = (north - south) / 2;
    setSource(
      map,
      'grid',
      kilometreGrid({ west: west - dx, south: south - dy, east: east + dx, north: north + dy }),
    );
  };
  map.on('moveend', draw);
  draw();
  return () => map.off('moveend', draw);
}

/** The map shows what the list shows, and the vehicle whose panel is open. Out of sight it rests. */
function showFleet(console: Console, layer: FleetLayer): Stop {
  let wasShown = true;
  return effect(() => {
    const isReturning = isMapShown.value && !wasShown;
    wasShown = isMapShown.value;
    if (!wasShown) return;
    const selected = console.selected.value;
    const rows = console.visible.value;
    const isHidden = selected && !rows.some((row) => row.id === selected.id);
    // What moved meanwhile stands where it is now: a marker gliding there would show it where it is not.
    layer.show(isHidden ? [...rows, selected] : rows, selected?.id, isReturning ? 'jump' : 'move');
  });
}

function showTrack(map: MapLibreMap, console: Console): Stop {
  return effect(() => {
    const track = console.detail.value?.track.value;
    const fixes = track?.kind === 'ready' ? track.value : [];
    const coordinates = fixes.map((fix) => [fix.longitude, fix.latitude]);
    const line: GeoJSON.Feature = {
      type: 'Feature',
      properties: {},
      geometry: { type: 'LineString', coordinates },
    };
    setSource(map, 'track', { type: 'FeatureCollection', features: coordinates.length > 1 ? [line] : [] });
  });
}

/** A vehicle chosen in the list is brought into view; one chosen on the map is there already. */
function focusSelection(map: MapLibreMap, console: Console): Stop {
  let focused: string | undefined;
  return effect(() => {
    const selected = console.selected.value;
    if (selected?.id === focused) return;
    focused = selected?.id;
    if (!selected?.position) return;
    const { longitude, latitude } = selected.position;
    // The panel may be about to take a part of the map: look where the vehicle is once it has.
    setTimeout(() => {
      const isSeen = map.getBounds().contains([longitude, latitude]) && map.getZoom() >= FOCUS_ZOOM - 2;
      if (!isSeen) map.easeTo({ center: [longitude, latitude], zoom: Math.max(map.getZoom(), FOCUS_ZOOM) });
    }, 60);
  });
}

/** Once, when the first snapshot is in: show the fleet, then call `done`. */
function fitOnce(console: Console, showAll: () => void, done: () => void): Stop {
  let isDone = false;
  return effect(() => {
    if (isDone || !console.fleet.ready.value) return;
    isDone = true;
    untracked(() => {
      if (!console.selected.value?.position) showAll();
      done();
    });
  });
}

function fit(map: MapLibreMap, console: Console): void {
  const box = untracked(() => fleetBounds(console.visible.value));
  if (!box) return;
  const bounds: LngLatBoundsLike = [box.west, box.south, box.east, box.north];
  const padding = Math.min(48, map.getContainer().clientHeight / 10);
  map.fitBounds(bounds, { padding, maxZoom: 14.5, duration: 0 });
}

function selectByClick(map: MapLibreMap, console: Console): void {
  map.on('click', ({ point }) => {
    const around: [[number, number], [number, number]] = [
      [point.x - TOUCH_PX, point.y - TOUCH_PX],
      [point.x + TOUCH_PX, point.y + TOUCH_PX],
    ];
    const hits = map.queryRenderedFeatures(around, { layers: ['vehicles'] });
    const nearest = hits
      .map((hit) => {
        const [longitude = 0, latitude = 0] = (hit.geometry as GeoJSON.Point).coordinates;
        return { id: String(hit.properties['id']), px: map.project([longitude, latitude]).dist(point) };
      })
      .sort((a, b) => a.px - b.px)[0];
    if (nearest) console.select(nearest.id);
  });
  map.on('mouseenter', 'vehicles', () => (map.getCanvas().style.cursor = 'pointer'));
  map.on('mouseleave', 'vehicles', () => (map.getCanvas().style.cursor = ''));
}
