import type { Maybe } from '../api/types';

const clockTime = new Intl.DateTimeFormat(undefined, {
  hour: '2-digit',
  minute: '2-digit',
  hourCycle: 'h23',
});
const dayAndTime = new Intl.DateTimeFormat(undefined, {
  day: 'numeric',
  month: 'short',
  hour: '2-digit',
  minute: '2-digit',
  hourCycle: 'h23',
});
const dayOnly = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short', year: 'numeric' });

/** What is shown where nothing is known. */
export const UNKNOWN = '—';

export function age(fromMs: number, toMs: number): string {
  const seconds = Math.max(0, Math.round((toMs - fromMs) / 1_000));
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h` : `${Math.floor(hours / 24)} days`;
}

/** "updated 4 s ago"; a vehicle never heard of has no age. */
export function freshness(recordedAtMs: number, nowMs: number): string {
  return recordedAtMs === 0 ? 'no position yet' : `updated ${age(recordedAtMs, nowMs)} ago`;
}

/** "3 min ago"; `never` for what has not happened yet. */
export function ago(iso: Maybe<string>, nowMs: number, never: string = UNKNOWN): string {
  const ms = iso ? Date.parse(iso) : NaN;
  if (Number.isNaN(ms)) return never;
  return nowMs - ms < 5_000 ? 'just now' : `${age(ms, nowMs)} ago`;
}

export function kmh(speedMps: Maybe<number>): string {
  return speedMps == null ? UNKNOWN : String(Math.round(speedMps * 3.6));
}

export function clock(ms: number): string {
  return clockTime.format(ms);
}

/** Today's times without the day. */
export function when(iso: Maybe<string>, nowMs: number): string {
  if (!iso) return UNKNOWN;
  const ms = Date.parse(iso);
  if (Number.isNaN(ms)) return UNKNOWN;
  return new Date(ms).toDateString() === new Date(nowMs).toDateString() ? clock(ms) : dayAndTime.format(ms);
}

/** "12 Oct 2026". */
export function day(iso: Maybe<string>): string {
  const ms = iso ? Date.parse(iso) : NaN;
  return Number.isNaN(ms) ? UNKNOWN : dayOnly.format(ms);
}

const POINTS = ['N', 'NE', 'E', 'SE', 'S', 'SW', 'W', 'NW'];

export function compass(headingDeg: Maybe<number>): string {
  if (headingDeg == null) return UNKNOWN;
  const point = POINTS[Math.round(headingDeg / 45) % 8] ?? 'N';
  return `${Math.round(headingDeg)}° ${point}`;
}

/** About a metre: five decimals. */
export function coordinates(latitude: number, longitude: number): string {
  return `${latitude.toFixed(5)}, ${longitude.toFixed(5)}`.replaceAll('-', '−');
}

export function count(value: number): string {
  return value.toLocaleString();
}
