import { useConsole } from '../console';
import type { Row } from '../fleet/vehicle';
import { trouble } from '../quality/words';
import { now } from '../ui/clock';
import { freshness, kmh } from '../ui/format';
import { StateChip } from '../ui/StateChip';

interface Props {
  row: Row;
  topPx: number;
  /** Counted from 1, of `total`: the rows outside of the window are not in the page. */
  place: number;
  total: number;
  isSelected: boolean;
  onSelect: (vehicleId: string) => void;
}

export function VehicleRow({ row, topPx, place, total, isSelected, onSelect }: Props) {
  const { qualities } = useConsole();
  const known = row.state === 'silent' && trouble(qualities?.byVehicle.value.get(row.id), now.value);
  return (
    <li
      class="row-place"
      style={{ transform: `translateY(${topPx}px)` }}
      aria-posinset={place}
      aria-setsize={total}
    >
      <button
        type="button"
        class="row"
        data-testid="vehicle-row"
        data-vehicle-id={row.id}
        data-state={row.state}
        aria-pressed={isSelected}
        onClick={() => onSelect(row.id)}
      >
        <span class="row-name">{row.name}</span>
        <StateChip state={row.state} />
        <span class="row-trip">{tripLine(row)}</span>
        <span class="row-speed">
          {row.state === 'moving' && (
            <>
              <b>{kmh(row.speedMps)}</b> km/h
            </>
          )}
        </span>
        <span class="row-freshness">{known || freshness(row.recordedAtMs, now.value)}</span>
      </button>
    </li>
  );
}

function tripLine({ trip, tripId }: Row): string {
  // The fleet's snapshot names every running trip: one that it does not name is over.
  if (!trip) return tripId ? 'Trip ended' : 'No trip';
  return trip.reference ?? trip.destination ?? 'On a trip';
}
