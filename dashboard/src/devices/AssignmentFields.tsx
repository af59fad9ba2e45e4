import { useMemo } from 'preact/hooks';
import { Combobox, useChoice, type Choice } from '../ui/Combobox';
import { fieldError } from '../ui/explain';
import { useMissing } from '../ui/form';
import { wishKeys } from '../ui/ids';
import { drivers, trucks, type Assignment, type Device } from './devices';

const NO_SUCH_TRUCK = 'Choose a truck from the list, add it, or empty the field.';

/** Who has the device and in which truck it is, as it is being chosen. */
export function useAssignment(device?: Device) {
  const driver = useChoice(device && driverOf(device));
  const truck = useChoice(device && truckOf(device));
  const missing = useMissing({
    driver: () => (driver.choice.value ? undefined : 'Choose a driver from the list, or add one.'),
    truck: () => (truck.choice.value || !truck.text.value.trim() ? undefined : NO_SUCH_TRUCK),
  });
  return {
    driver,
    truck,
    missing,
    show: (known: Device) => {
      driver.set(driverOf(known));
      truck.set(truckOf(known));
    },
    /** What was chosen; undefined, and said at the field, when a driver is missing. */
    read: (): Assignment | undefined => {
      if (missing.isAny() || !driver.choice.value) return undefined;
      return { driverId: driver.choice.value.id, truckId: truck.choice.value?.id ?? null };
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
        state={driver}
        search={drivers.search}
        create={(name) => drivers.add(name, driverKey(name))}
        error={missing.of('driver') ?? fieldError(problem, 'driverId')}
      />
      <Combobox
        label="Truck (optional)"
        noun="truck"
        testId="truck-choice"
        state={truck}
        search={trucks.search}
        create={(name) => trucks.add(name, truckKey(name))}
        hint="Without one the map shows the device itself."
        error={missing.of('truck') ?? fieldError(problem, 'truckId')}
      />
    </>
  );
}
