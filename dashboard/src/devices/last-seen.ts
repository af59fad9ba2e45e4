import { useComputed } from '@preact/signals';
import { useConsole } from '../console';
import type { Device } from './devices';

/** When a device was last heard of: by the list, or since then by its counters or the live positions. */
export function useLastSeen(): (device: Device) => string | undefined {
  const { fleet, qualities } = useConsole();
  const heard = useComputed(() => {
    const positions = fleet.rows.value.flatMap(({ position }) => (position ? [position] : []));
    return new Map(positions.map(({ deviceId, receivedAt }) => [deviceId, receivedAt ?? undefined]));
  });
  return ({ id, lastSeenAt }) => {
    const counted = qualities?.byDevice.value.get(id)?.heardAt ?? undefined;
    return later(later(lastSeenAt ?? undefined, counted), heard.value.get(id));
  };
}

function later(one: string | undefined, other: string | undefined): string | undefined {
  if (!one || !other) return one ?? other;
  return Date.parse(one) > Date.parse(other) ? one : other;
}
