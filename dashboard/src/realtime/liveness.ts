/** What the connection pill says. "Live" is a promise: connected, and events do arrive where some are due. */
export type Liveness =
  | { kind: 'connecting' }
  | { kind: 'live' }
  | { kind: 'quiet'; lastUpdateMs: number | undefined }
  | { kind: 'reconnecting'; lastUpdateMs: number | undefined }
  | { kind: 'offline'; sinceMs: number };

export interface LinkFacts {
  nowMs: number;
  online: boolean;
  /** The first snapshot is in. */
  joined: boolean;
  downSinceMs: number | undefined;
  lastEventAtMs: number | undefined;
  /** At least one vehicle had a fix lately, so that another is due. */
  expectsEvents: boolean;
}

/** Longer without an event while vehicles move, and "Live" would be a guess. */
export const SILENCE_MS = 30_000;
/** Longer without a socket, and it is no longer a hiccup. */
export const OFFLINE_AFTER_MS = 30_000;

export function liveness(facts: LinkFacts): Liveness {
  const { nowMs, online, joined, downSinceMs, lastEventAtMs } = facts;
  if (!online && downSinceMs !== undefined && nowMs - downSinceMs > OFFLINE_AFTER_MS)
    return { kind: 'offline', sinceMs: downSinceMs };
  if (!joined) return { kind: 'connecting' };
  if (!online) return { kind: 'reconnecting', lastUpdateMs: lastEventAtMs };
  const silent = lastEventAtMs === undefined || nowMs - lastEventAtMs > SILENCE_MS;
  return silent && facts.expectsEvents ? { kind: 'quiet', lastUpdateMs: lastEventAtMs } : { kind: 'live' };
}
