import type { Location, Page, Trip, TripEvent } from '../api/types';
import { get } from '../session/call';

const PAGE_LIMIT = 200;
/** 25 pages: 5,000 fixes, a working day at one every 6 s. */
const MAX_PAGES = 25;

const tripPath = (tripId: string) => `/trips/${encodeURIComponent(tripId)}`;

export function fetchTrip(tripId: string, signal: AbortSignal): Promise<Trip> {
  return get(tripPath(tripId), { signal });
}

/** Newest first. */
export async function fetchEvents(tripId: string, signal: AbortSignal): Promise<TripEvent[]> {
  return (await get<Page<TripEvent>>(`${tripPath(tripId)}/events?limit=20`, { signal })).data;
}

/** The last `limit` fixes, in time order. */
export async function fetchRecent(tripId: string, limit: number, signal: AbortSignal): Promise<Location[]> {
  const path = `${tripPath(tripId)}/locations?limit=${limit}&order=desc`;
  return inTimeOrder((await get<Page<Location>>(path, { signal })).data);
}

/** The newest fixes of the trip, in time order, up to a bound that a browser draws with ease. */
export async function fetchTrack(tripId: string, signal: AbortSignal): Promise<Location[]> {
  const fixes: Location[] = [];
  let cursor = '';
  for (let page = 0; page < MAX_PAGES; page += 1) {
    const path = `${tripPath(tripId)}/locations?limit=${PAGE_LIMIT}&order=desc${cursor}`;
    const { data, nextCursor } = await get<Page<Location>>(path, { signal });
    fixes.push(...data);
    if (!nextCursor || data.length === 0) break;
    cursor = `&cursor=${encodeURIComponent(nextCursor)}`;
  }
  return inTimeOrder(fixes);
}

export function inTimeOrder(fixes: Location[]): Location[] {
  return fixes.sort((a, b) => Date.parse(a.recordedAt) - Date.parse(b.recordedAt));
}
