import { useSignal } from '@preact/signals';
import { useMemo } from 'preact/hooks';
import { Combobox, type Choice } from '../ui/Combobox';
import { fieldError } from '../ui/explain';
import { wishKeys } from '../ui/ids';
import { drivers, trucks, type Assignment, type Device } from './devices';

/** Who has the device and in which truck it is, as it is being chosen. */
export function useAssignment(device?: Device) {
  const driver = useSignal<Choice | undefined>(device && driverOf(device));
  const truck = useSignal<Choice | undefined>(device && truckOf(device));
  /** Text that stands for no truck of the register. */
  const missing = useSignal<string | undefined>(undefined);
  return {
    driver,
    truck,
    missing,
    show: (known: Device) => {
      driver.value = driverOf(known);
      truck.value = truckOf(known);
    },
    /** What was chosen; undefined, and said at the field, when a driver is missing. */
    read: (): Assignment | undefined => {
      missing.value = driver.value ? undefined : 'Choose a driver from the list, or add one.';
      return driver.value && { driverId: driver.value.id, truckId: truck.value?.id ?? null };
    },
  };
}

function driverOf({ driverId, driverName }: Device): Choice {
  return { id: driverId, name: driverName ?? 'Unnamed driver' };
}

function truckOf({ truckId, truckName }: Device): Choice | undefined {
  return truckId ? { id: truckId, name: truckName ?? 'Unnamed truck' } : undefined;
}

interface Props {
  assignment: ReturnType<typeof useAssignment>;
  problem: unknown;
}

export function AssignmentFields({ assignment, problem }: Props) {
  const { driver, truck, missing } = assignment;
  const driverKey = useMemo(wishKeys, []);
  const truckKey = useMemo(wishKeys, []);
  return (
    <>
      <Combobox
        label="Driver"
        noun="driver"
        testId="driver-choice"
        value={driver.value}
        onChange={(choice) => (driver.value = choice)}
        search={drivers.search}
        create={(name) => drivers.add(name, driverKey(name))}
        error={missing.value ?? fieldError(problem, 'driverId')}
      />
      <Combobox
        label="Truck (optional)"
        noun="truck"
        testId="truck-choice"
        value={truck.value}
        onChange={(choice) => (truck.value = choice)}
        search={trucks.search}
        create={(name) => trucks.add(name, truckKey(name))}
        hint="Without one the map shows the device itself."
        error={fieldError(problem, 'truckId')}
      />
    </>
  );
}
