import type { GeoJSONSource, Map as MapLibreMap } from 'maplibre-gl';
import type { Row } from '../fleet/vehicle';
import { markerOf } from './markers';
import { Motion, type Pose } from './motion';
import { Tails } from './tails';

const reducedMotion = window.matchMedia('(prefers-reduced-motion: reduce)');

/** More between two frames is not the drawing's doing: nothing moved, or the tab was hidden. */
const MAX_FRAME_MS = 250;

/** How long between two drawings, by the size of the fleet: smooth where that is cheap. */
function frameMs(vehicleCount: number): number {
  if (vehicleCount <= 400) return 100;
  return vehicleCount <= 1_500 ? 250 : 500;
}

/** Puts the fleet on the map: at once when rows change, then frame by frame while markers move. */
export class FleetLayer {
  readonly #map: MapLibreMap;
  readonly #motion = new Motion();
  readonly #tails = new Tails();
  #rows: readonly Row[] = [];
  #selectedId: string | undefined;
  #animated = false;
  #isDirty = false;
  #isBusy = false;
  #lastDrawMs = 0;
  #lastFrameMs = 0;
  /** The longest time between two frames lately: what a drawing costs this machine. */
  #slowestFrameMs = 0;
  #frame = 0;

  constructor(map: MapLibreMap) {
    this.#map = map;
  }

  /** Until this is called markers stand still, so that the map's first `idle` can come. */
  animate(): void {
    this.#animated = true;
  }

  show(rows: readonly Row[], selectedId: string | undefined, how: 'move' | 'jump'): void {
    const nowMs = performance.now();
    this.#rows = rows.filter((row) => row.position);
    this.#selectedId = selectedId;
    const animate = how === 'move' && this.#animated && !reducedMotion.matches && !document.hidden;
    for (const row of this.#rows) {
      if (!row.position) continue;
      const { longitude, latitude } = row.position;
      this.#motion.aim(row.id, { longitude, latitude, headingDeg: row.headingDeg ?? 0 }, nowMs, animate);
    }
    this.#motion.keepOnly(new Set(this.#rows.map((row) => row.id)));
    this.#tails.note(this.#rows);
    void this.#map
      .getSource<GeoJSONSource>('tails')
      ?.setData(this.#tails.lines((id) => this.#motion.at(id, nowMs)));
    this.#isDirty = true;
    this.#schedule();
  }

  close(): void {
    cancelAnimationFrame(this.#frame);
    this.#rows = [];
  }

  #schedule(): void {
    cancelAnimationFrame(this.#frame);
    this.#frame = requestAnimationFrame(() => this.#tick());
  }

  #tick(): void {
    const nowMs = performance.now();
    const isDue = nowMs - this.#lastDrawMs >= this.#intervalMs(nowMs);
    const isMoving = this.#motion.isMoving(nowMs);
    if (isDue && !this.#isBusy && (this.#isDirty || isMoving)) void this.#draw(nowMs);
    if (this.#isDirty || isMoving) this.#schedule();
  }

  /** Drawing may take a quarter of the time: the rest is for the list, and for who types. */
  #intervalMs(nowMs: number): number {
    const frameTookMs = Math.min(nowMs - this.#lastFrameMs, MAX_FRAME_MS);
    this.#lastFrameMs = nowMs;
    this.#slowestFrameMs = Math.max(frameTookMs, this.#slowestFrameMs * 0.98);
    return Math.max(frameMs(this.#rows.length), 4 * this.#slowestFrameMs);
  }

  async #draw(nowMs: number): Promise<void> {
    const source = this.#map.getSource<GeoJSONSource>('fleet');
    if (!source) return;
    // One drawing at a time: a slow machine gets fewer frames, not a queue of them.
    this.#isBusy = true;
    this.#lastDrawMs = nowMs;
    // A move that ends between two frames still needs its last place drawn.
    this.#isDirty = this.#motion.isMoving(nowMs);
    try {
      await source.setData({ type: 'FeatureCollection', features: this.#features(nowMs) });
    } catch {
      // The map was taken away meanwhile.
    } finally {
      this.#isBusy = false;
    }
  }

  #features(nowMs: number): GeoJSON.Feature[] {
    return this.#rows.flatMap((row) => {
      const place = this.#motion.at(row.id, nowMs);
      return place ? [feature(row, place, row.id === this.#selectedId)] : [];
    });
  }
}

const RANK = { silent: 0, stopped: 1, moving: 2 };

function feature(row: Row, place: Pose, selected: boolean): GeoJSON.Feature {
  return {
    type: 'Feature',
    geometry: { type: 'Point', coordinates: [place.longitude, place.latitude] },
    properties: {
      id: row.id,
      name: row.name,
      icon: markerOf(row),
      heading: row.state === 'moving' ? place.headingDeg : 0,
      selected,
      // What is drawn last lies on top.
      rank: selected ? 9 : RANK[row.state],
    },
  };
}
