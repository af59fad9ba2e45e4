import type { Row } from '../fleet/vehicle';
import { isJump, type Place } from './motion';

const MAX_POINTS = 12;

/** Where each vehicle has just been, as far as this page has seen it: a short tail that shows the way it came. */
export class Tails {
  readonly #tails = new Map<string, Place[]>();

  /** Take in the newest fix of each vehicle; forget those that are gone or silent. */
  note(rows: readonly Row[]): void {
    const heard = rows.filter((row) => row.position && row.state !== 'silent');
    const ids = new Set(heard.map((row) => row.id));
    for (const id of this.#tails.keys()) if (!ids.has(id)) this.#tails.delete(id);
    for (const { id, position } of heard)
      if (position) this.#tails.set(id, extend(this.#tails.get(id), position));
  }

  /** One line a vehicle, up to where its marker is drawn now: the newest fix is still ahead of it. */
  lines(markerAt: (id: string) => Place | undefined): GeoJSON.MultiLineString {
    const coordinates = [...this.#tails].flatMap(([id, tail]) => {
      const marker = markerAt(id);
      if (!marker || tail.length < 2) return [];
      return [[...tail.slice(0, -1), marker].map((point) => [point.longitude, point.latitude])];
    });
    return { type: 'MultiLineString', coordinates };
  }
}

function extend(tail: Place[] | undefined, { longitude, latitude }: Place): Place[] {
  const last = tail?.at(-1);
  if (!tail || !last || isJump(last, { longitude, latitude })) return [{ longitude, latitude }];
  if (last.longitude === longitude && last.latitude === latitude) return tail;
  return [...tail, { longitude, latitude }].slice(-MAX_POINTS);
}
