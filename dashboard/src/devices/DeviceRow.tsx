import { now } from '../ui/clock';
import { ago, day, UNKNOWN } from '../ui/format';
import type { Device } from './devices';

export type DeedKind = 'move' | 'token' | 'withdraw';

const DEEDS: readonly { kind: DeedKind; label: string; of: (name: string) => string }[] = [
  { kind: 'move', label: 'Move', of: (name) => `Move ${name} to another driver or truck` },
  { kind: 'token', label: 'New token', of: (name) => `New token for ${name}` },
  { kind: 'withdraw', label: 'Withdraw', of: (name) => `Withdraw ${name}` },
];

interface Props {
  device: Device;
  lastSeenAt: string | undefined;
  onDeed: (kind: DeedKind) => void;
}

export function DeviceRow({ device, lastSeenAt, onDeed }: Props) {
  const isActive = !device.revokedAt;
  return (
    <tr role="row" data-testid="device-row">
      <th role="rowheader" scope="row">
        {device.name}
      </th>
      <td role="cell" data-label="State">
        <span class="badge" data-status={isActive ? 'started' : 'ended'}>
          {isActive ? 'Active' : 'Withdrawn'}
        </span>
        {!isActive && <span class="line muted">{day(device.revokedAt)}</span>}
      </td>
      <td role="cell" data-label="Driver">
        {device.driverName ?? UNKNOWN}
      </td>
      <td role="cell" data-label="Truck">
        {device.truckName ?? UNKNOWN}
      </td>
      <td role="cell" data-label="Last seen" class="short">
        {ago(lastSeenAt, now.value, 'never')}
      </td>
      <td role="cell" class="actions">
        {isActive &&
          DEEDS.map(({ kind, label, of }) => (
            <button
              type="button"
              key={kind}
              class="button small quiet"
              aria-label={of(device.name)}
              onClick={() => onDeed(kind)}
            >
              {label}
            </button>
          ))}
      </td>
    </tr>
  );
}
