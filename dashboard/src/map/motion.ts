/** Where markers are between fixes. Pure: times come in, places come out. */
export interface Place {
  longitude: number;
  latitude: number;
}

export interface Pose extends Place {
  headingDeg: number;
}

interface Move {
  from: Pose;
  to: Pose;
  startMs: number;
  endMs: number;
}

/** A move takes as long as the fixes lie apart, within this: longer would show a vehicle where it was long ago. */
const MIN_MOVE_MS = 300;
const MAX_MOVE_MS = 5_000;
/** About 3 km. Farther is a jump, and no road leads there. */
const JUMP_DEGREES = 0.03;

export class Motion {
  readonly #moves = new Map<string, Move>();

  /** The vehicle's newest place. `animate` false puts it there at once. */
  aim(id: string, to: Pose, nowMs: number, animate: boolean): void {
    const last = this.#moves.get(id);
    if (last && samePlace(last.to, to)) return;
    const from = last && animate && !isJump(last.to, to) ? placeOf(last, nowMs) : to;
    const gapMs = Math.min(MAX_MOVE_MS, Math.max(MIN_MOVE_MS, nowMs - (last?.startMs ?? nowMs)));
    this.#moves.set(id, { from, to, startMs: nowMs, endMs: from === to ? nowMs : nowMs + gapMs });
  }

  at(id: string, nowMs: number): Pose | undefined {
    const move = this.#moves.get(id);
    return move && placeOf(move, nowMs);
  }

  /** Does anything still move, so that another frame is worth drawing? */
  isMoving(nowMs: number): boolean {
    for (const move of this.#moves.values()) if (move.endMs > nowMs) return true;
    return false;
  }

  keepOnly(ids: ReadonlySet<string>): void {
    for (const id of this.#moves.keys()) if (!ids.has(id)) this.#moves.delete(id);
  }
}

function placeOf({ from, to, startMs, endMs }: Move, nowMs: number): Pose {
  if (nowMs >= endMs) return to;
  const part = Math.max(0, (nowMs - startMs) / (endMs - startMs));
  return {
    longitude: from.longitude + (to.longitude - from.longitude) * part,
    latitude: from.latitude + (to.latitude - from.latitude) * part,
    // A turn is quicker than the drive that follows it.
    headingDeg: turn(from.headingDeg, to.headingDeg, Math.min(1, part * 3)),
  };
}

/** The short way round. */
export function turn(fromDeg: number, toDeg: number, part: number): number {
  const difference = ((toDeg - fromDeg + 540) % 360) - 180;
  return (fromDeg + difference * part + 360) % 360;
}

function samePlace(a: Pose, b: Pose): boolean {
  return a.longitude === b.longitude && a.latitude === b.latitude && a.headingDeg === b.headingDeg;
}

export function isJump(a: Place, b: Place): boolean {
  return Math.hypot(a.longitude - b.longitude, a.latitude - b.latitude) > JUMP_DEGREES;
}
