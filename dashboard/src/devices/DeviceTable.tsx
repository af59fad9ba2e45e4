import { useSignal } from '@preact/signals';
import { useConsole } from '../console';
import { route } from '../nav/route';
import type { Paged } from '../ui/paged';
import { say } from '../ui/toast';
import { DeviceRow, type DeedKind } from './DeviceRow';
import { type Device } from './devices';
import { useLastSeen } from './last-seen';
import { MoveDialog } from './MoveDialog';
import { NewTokenDialog } from './NewTokenDialog';
import { WithdrawDialog } from './WithdrawDialog';

export function DeviceTable({ list }: { list: Paged<Device> }) {
  const deed = useSignal<{ kind: DeedKind; device: Device } | undefined>(undefined);
  const lastSeen = useLastSeen();
  const { qualities } = useConsole();
  const close = () => (deed.value = undefined);
  const withdrawn = (device: Device) => {
    if (route.value.page === 'devices' && route.value.state === 'active') list.drop(device.id);
    else list.put(device);
    close();
    say(`${device.name} was withdrawn.`);
  };
  return (
    <>
      <table class="table" role="table" data-testid="device-table">
        <caption class="visually-hidden">Devices</caption>
        <thead role="rowgroup">
          <tr role="row">
            <th role="columnheader">Device</th>
            <th role="columnheader">State</th>
            <th role="columnheader">Driver</th>
            <th role="columnheader">Truck</th>
            <th role="columnheader">Last seen</th>
            <th role="columnheader">
              <span class="visually-hidden">Actions</span>
            </th>
          </tr>
        </thead>
        <tbody role="rowgroup">
          {list.rows.value.map((device) => (
            <DeviceRow
              key={device.id}
              device={device}
              heard={qualities?.byDevice.value.get(device.id)}
              lastSeenAt={lastSeen(device)}
              onDeed={(kind) => (deed.value = { kind, device })}
            />
          ))}
        </tbody>
      </table>
      {deed.value?.kind === 'move' && (
        <MoveDialog device={deed.value.device} onKnown={(device) => list.put(device)} onClose={close} />
      )}
      {deed.value?.kind === 'withdraw' && (
        <WithdrawDialog device={deed.value.device} onWithdrawn={withdrawn} onClose={close} />
      )}
      {deed.value?.kind === 'token' && <NewTokenDialog device={deed.value.device} onClose={close} />}
    </>
  );
}
