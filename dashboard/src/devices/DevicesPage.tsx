import { useSignal } from '@preact/signals';
import { Plus } from 'lucide-preact';
import { PageHeading } from '../nav/heading';
import type { DeviceFilter } from '../nav/route';
import { maySeeRegisters } from '../session/roles';
import { ListFrame } from '../ui/ListFrame';
import type { Paged } from '../ui/paged';
import { usePaged } from '../ui/usePaged';
import { DeviceTable } from './DeviceTable';
import { devicesPath, type Device } from './devices';
import { GiveDialog } from './GiveDialog';

const FILTERS: readonly { filter: DeviceFilter; label: string; empty: string }[] = [
  {
    filter: 'active',
    label: 'Active',
    empty: 'No phone reports yet. Give a driver a device to see it on the map.',
  },
  { filter: 'revoked', label: 'Withdrawn', empty: 'No device was withdrawn.' },
  { filter: 'all', label: 'All', empty: 'No device was ever given.' },
];

export function DevicesPage({ filter }: { filter: DeviceFilter }) {
  return (
    <main class="page" data-testid="devices-page">
      {maySeeRegisters() ? (
        <Devices filter={filter} />
      ) : (
        <>
          <PageHeading page="devices" />
          <p class="muted">Your role does not show the devices of the organisation.</p>
        </>
      )}
    </main>
  );
}

function Devices({ filter }: { filter: DeviceFilter }) {
  const devices = usePaged<Device>(devicesPath(filter), (device) => device.id);
  const empty = FILTERS.find((each) => each.filter === filter)?.empty;
  return (
    <>
      <Head devices={devices} filter={filter} />
      <Filters chosen={filter} />
      <section aria-label="Devices">
        <ListFrame
          list={devices}
          empty={
            <p class="muted" data-testid="no-devices">
              {empty}
            </p>
          }
        >
          <DeviceTable list={devices} />
        </ListFrame>
      </section>
    </>
  );
}

function Head({ devices, filter }: { devices: Paged<Device>; filter: DeviceFilter }) {
  const isGiving = useSignal(false);
  return (
    <div class="page-head">
      <div>
        <PageHeading page="devices" />
        <p class="muted">The phones that report where your vehicles are.</p>
      </div>
      <button
        type="button"
        class="button primary"
        data-testid="give-device"
        onClick={() => (isGiving.value = true)}
      >
        <Plus size={16} />
        Give a device
      </button>
      {isGiving.value && (
        <GiveDialog
          onGiven={(device) => filter !== 'revoked' && devices.put(device)}
          onClose={() => (isGiving.value = false)}
        />
      )}
    </div>
  );
}

/** Links, so that a filtered list can be reloaded and shared. */
function Filters({ chosen }: { chosen: DeviceFilter }) {
  return (
    <nav class="tabs" aria-label="Which devices">
      {FILTERS.map(({ filter, label }) => (
        <a
          key={filter}
          class="tab"
          data-testid={`devices-${filter}`}
          href={filter === 'active' ? '#/devices' : `#/devices?state=${filter}`}
          aria-current={filter === chosen ? 'true' : undefined}
        >
          {label}
        </a>
      ))}
    </nav>
  );
}
