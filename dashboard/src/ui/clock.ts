import { signal } from '@preact/signals';

/**
 * The server's time, as well as we know it.
 *
 * Freshness compares a fix's time with now; a browser whose clock is minutes wrong would call every vehicle silent. The
 * Date header of each answer corrects that. It has whole seconds, so a small difference is left alone.
 */
const TRUSTED_SKEW_MS = 2_000;
let offsetMs = 0;

export function noteServerTime(dateHeader: string | null): void {
  const serverMs = dateHeader ? Date.parse(dateHeader) : NaN;
  if (Number.isNaN(serverMs)) return;
  const measuredMs = serverMs - Date.now();
  offsetMs = Math.abs(measuredMs) > TRUSTED_SKEW_MS ? measuredMs : 0;
}

export function nowMs(): number {
  return Date.now() + offsetMs;
}

/** Ticks once a second; everything that shows an age reads it. */
export const now = signal(nowMs());

export function startClock(): () => void {
  const timer = setInterval(() => (now.value = nowMs()), 1_000);
  return () => clearInterval(timer);
}
