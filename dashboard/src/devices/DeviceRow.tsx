import { HeardBadge } from '../quality/HeardBadge';
import type { HeardBriefly } from '../quality/quality';
import { percent, trouble } from '../quality/words';
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
  heard: HeardBriefly | undefined;
  lastSeenAt: string | undefined;
  onDeed: (kind: DeedKind) => void;
}

export function DeviceRow({ device, heard, lastSeenAt, onDeed }: Props) {
  const isActive = !device.revokedAt;
  return (
    <tr role="row" data-testid="device-row">
      <th role="rowheader" scope="row">
        <a class="row-link" href={`#/devices/${encodeURIComponent(device.id)}`}>
          {device.name}
        </a>
      </th>
      <td role="cell" data-label="State">
        {isActive && heard ? (
          <Heard heard={heard} />
        ) : (
          <span class="badge" data-status={isActive ? 'started' : 'ended'}>
            {isActive ? 'Active' : 'Withdrawn'}
          </span>
        )}
        {!isActive && <span class="line muted">{day(device.revokedAt)}</span>}
      </td>
      <td role="cell" data-label="Driver">
        {device.driverName ?? UNKNOWN}
      </td>
      <td role="cell" data-label="Truck">
        {device.truckName ?? UNKNOWN}
      </td>
      <td role="cell" data-label="Last seen" class="short">
        <span class="line">{ago(lastSeenAt, now.value, 'never')}</span>
        {isActive && heard?.battery != null && <span class="line">battery {percent(heard.battery)}</span>}
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

/** "Silent", since when and why. */
function Heard({ heard }: { heard: HeardBriefly }) {
  const why = trouble(heard, now.value);
  return (
    <>
      <HeardBadge state={heard.state} />
      {why && <span class="line muted">{why}</span>}
    </>
  );
}
