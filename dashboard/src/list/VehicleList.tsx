import { ChevronDown, ChevronUp } from 'lucide-preact';
import { useConsole } from '../console';
import { NO_FILTER } from '../fleet/filter';
import { sheet } from '../ui/sheet';
import { Filters } from './Filters';
import { RowWindow } from './RowWindow';

/** The list beside the map, and its accessible twin: whatever the map shows can be found and opened here. */
export function VehicleList() {
  const { fleet, visible } = useConsole();
  return (
    <section class="sidebar" aria-label="Vehicles">
      <SheetHandle />
      <Filters />
      {!fleet.ready.value && <Skeletons />}
      {fleet.ready.value && visible.value.length === 0 && <Nothing />}
      {fleet.ready.value && visible.value.length > 0 && <RowWindow rows={visible.value} />}
    </section>
  );
}

function SheetHandle() {
  const isFull = sheet.value === 'full';
  return (
    <button
      type="button"
      class="sheet-handle"
      aria-expanded={isFull}
      onClick={() => (sheet.value = isFull ? 'half' : 'full')}
    >
      {isFull ? <ChevronDown size={16} /> : <ChevronUp size={16} />}
      {isFull ? 'Show the map' : 'Show more of the list'}
    </button>
  );
}

function Nothing() {
  const { fleet, change } = useConsole();
  if (fleet.rows.value.length === 0)
    return (
      <div class="empty">
        <h2>No vehicles yet</h2>
        <p>A vehicle shows up here with its first position.</p>
      </div>
    );
  return (
    <div class="empty">
      <h2>Nothing matches</h2>
      <p>No vehicle fits this search and filter.</p>
      <button type="button" class="button" onClick={() => change(NO_FILTER)}>
        Show all vehicles
      </button>
    </div>
  );
}

function Skeletons() {
  return (
    <div class="skeletons" aria-hidden="true">
      {Array.from({ length: 8 }, (_, index) => (
        <div class="skeleton-row" key={index}>
          <span class="skeleton" />
          <span class="skeleton" />
        </div>
      ))}
    </div>
  );
}
