import type { Maybe } from '../api/types';

/** A person of the organisation who has the trip open. */
export interface Watcher {
  userId: string;
  name?: Maybe<string>;
}

/** So many are shown by themselves; the rest are counted. */
export const SHOWN = 3;

/** `trip:watchers`: all who watch a trip now, oneself too. Undefined: it is of another trip, or none. */
export function watchersOf(payload: unknown, tripId: string): Watcher[] | undefined {
  const told = payload as Maybe<{ tripId?: unknown; watchers?: unknown }>;
  return told?.tripId === tripId && Array.isArray(told.watchers) ? (told.watchers as Watcher[]) : undefined;
}

/** `Tendai Moyo` -> `TM`; one letter where there is one word. */
export function initials(name: string): string {
  const words = name.trim().split(/\s+/);
  const letters = [words[0], words.length > 1 ? words.at(-1) : undefined].map(
    (word) => [...(word ?? '')][0] ?? '',
  );
  return letters.join('').toLocaleUpperCase();
}
