import type { Location } from '../api/types';
import { moveBetween } from '../fleet/vehicle';
import { age } from '../ui/format';

const WIDTH = 220;
const HEIGHT = 52;
const PAD = 4;
/** The scale never ends below this, so that a parked van's noise does not look like a drive. */
const MIN_TOP_KMH = 20;

export interface SpeedPoint {
  atMs: number;
  kmh: number;
}

/** As reported, else from the move since the fix before; a fix that tells neither leaves a longer line, not a zero. */
export function speedPoints(fixes: readonly Location[]): SpeedPoint[] {
  return fixes.flatMap((fix, index) => {
    const speedMps = fix.speed ?? apparentMps(fixes[index - 1], fix);
    return speedMps === undefined ? [] : [{ atMs: Date.parse(fix.recordedAt), kmh: speedMps * 3.6 }];
  });
}

function apparentMps(before: Location | undefined, fix: Location): number | undefined {
  const seconds = before ? (Date.parse(fix.recordedAt) - Date.parse(before.recordedAt)) / 1_000 : 0;
  return before && seconds > 0 ? moveBetween(before, fix).distanceM / seconds : undefined;
}

/** SVG points of the line, time from left to right. */
export function linePoints(points: readonly SpeedPoint[], topKmh: number): [number, number][] {
  const startMs = points[0]?.atMs ?? 0;
  const spanMs = Math.max(1, (points.at(-1)?.atMs ?? 0) - startMs);
  return points.map(({ atMs, kmh }) => [
    PAD + ((atMs - startMs) / spanMs) * (WIDTH - 2 * PAD),
    HEIGHT - PAD - (Math.min(kmh, topKmh) / topKmh) * (HEIGHT - 2 * PAD),
  ]);
}

/** The speed of the last fixes: a hint of what the vehicle has been doing. */
export function Sparkline({ fixes }: { fixes: readonly Location[] }) {
  const points = speedPoints(fixes);
  const [first, last] = [points[0], points.at(-1)];
  if (!first || !last || points.length < 2) return <p class="muted speed-none">No speeds to draw yet.</p>;
  const peakKmh = Math.max(...points.map((point) => point.kmh));
  const line = linePoints(points, Math.max(MIN_TOP_KMH, peakKmh));
  const path = line
    .map(([x, y], index) => `${index === 0 ? 'M' : 'L'}${x.toFixed(1)} ${y.toFixed(1)}`)
    .join('');
  const [endX, endY] = line.at(-1) ?? [0, 0];
  const label = `Speed over the last ${age(first.atMs, last.atMs)}, up to ${Math.round(peakKmh)} km/h`;
  return (
    <figure class="sparkline">
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label={label} preserveAspectRatio="none">
        <path class="sparkline-area" d={`${path}L${WIDTH - PAD} ${HEIGHT - PAD}L${PAD} ${HEIGHT - PAD}Z`} />
        <path class="sparkline-line" d={path} vector-effect="non-scaling-stroke" />
        <circle class="sparkline-end" cx={endX} cy={endY} r="2.6" />
      </svg>
      <figcaption>
        last {age(first.atMs, last.atMs)}, up to {Math.round(peakKmh)} km/h
      </figcaption>
    </figure>
  );
}
