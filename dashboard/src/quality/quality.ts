import type { Maybe, Page } from '../api/types';
import { get } from '../session/call';

export type HeardState = 'live' | 'late' | 'silent' | 'parked' | 'never';

/** Why a device is not live. `detail` is the server's sentence, for a code that we do not know. */
export interface Because {
  code: string;
  detail: string;
  /** Percent. */
  battery?: Maybe<number>;
  /** How late, or how far ahead. */
  seconds?: Maybe<number>;
  /** Reasons or flags. */
  names?: Maybe<string[]>;
}

/** What the lists need of it. */
export interface HeardBriefly {
  deviceId: string;
  vehicleId: string;
  state: HeardState;
  silentSince?: Maybe<string>;
  because?: Maybe<Because>;
  heardAt?: Maybe<string>;
  battery?: Maybe<number>;
}

export interface HeardDevice extends HeardBriefly {
  name: string;
  driverName?: Maybe<string>;
  truckName?: Maybe<string>;
  source?: Maybe<string>;
  batteryAt?: Maybe<string>;
  /** Metres and seconds, of its last batch; `clockOffset`: how far its clock is ahead. */
  accuracy?: Maybe<number>;
  delay?: Maybe<number>;
  clockOffset?: Maybe<number>;
  revokedAt?: Maybe<string>;
}

/** What came on a day of UTC. */
export interface QualityDay {
  day: string;
  batches: number;
  accepted: number;
  duplicates: number;
  late: number;
  flagged: number;
  rejected: number;
  meanAccuracy?: Maybe<number>;
  meanDelay?: Maybe<number>;
  longestDelay: number;
  battery?: Maybe<number>;
  lowestBattery?: Maybe<number>;
  clockOffset?: Maybe<number>;
  flags: Record<string, number>;
  reasons: Record<string, number>;
  gaps: number;
  longestGap: number;
}

export interface DeviceQuality {
  device: HeardDevice;
  days: QualityDay[];
}

/** A location that the server refused; `record`: what was sent, as text in which nothing acts. */
export interface RejectedRecord {
  id: string;
  receivedAt: string;
  source: string;
  reason: string;
  detail: string;
  record: string;
  /** So many others of its batch had the same reason, and were not kept. */
  more: number;
}

export const qualityPath = (deviceId: string, days: number) =>
  `/devices/${encodeURIComponent(deviceId)}/quality?days=${days}`;
export const rejectionsPath = (deviceId: string) => `/devices/${encodeURIComponent(deviceId)}/rejections`;

const FIELDS = 'deviceId,vehicleId,state,silentSince,because,heardAt,battery';
const MOST_PAGES = 10;

/** Every device that may report; the first 2,000, where there are more. */
export async function fetchHeard(signal: AbortSignal): Promise<HeardBriefly[]> {
  const all: HeardBriefly[] = [];
  let cursor: Maybe<string>;
  for (let page = 0; page < MOST_PAGES; page += 1) {
    const params = new URLSearchParams({ limit: '200', fields: FIELDS, ...(cursor && { cursor }) });
    const { data, nextCursor } = await get<Page<HeardBriefly>>(`/tracking/quality?${params}`, { signal });
    all.push(...data);
    cursor = nextCursor;
    if (!cursor) break;
  }
  return all;
}
