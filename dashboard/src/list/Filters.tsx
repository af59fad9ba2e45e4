import { Search } from 'lucide-preact';
import { useConsole } from '../console';
import { countByState } from '../fleet/filter';
import { STATE_LABELS, VEHICLE_STATES } from '../fleet/vehicle';
import { count, UNKNOWN } from '../ui/format';
import { StateGlyph } from '../ui/StateGlyph';

export function Filters() {
  const { fleet, view, change } = useConsole();
  const counts = countByState(fleet.rows.value);
  const chosen = view.value.state;
  return (
    <div class="filters">
      <label class="search">
        <Search size={16} aria-hidden="true" />
        <span class="visually-hidden">Search vehicles, trips, drivers, customers</span>
        <input
          type="search"
          placeholder="Vehicle, trip, driver or customer"
          autocomplete="off"
          spellcheck={false}
          value={view.value.query}
          onInput={(event) => change({ query: event.currentTarget.value })}
        />
      </label>
      <div class="filter-chips" role="group" aria-label="Show">
        {(['all', ...VEHICLE_STATES] as const).map((state) => (
          <button
            type="button"
            key={state}
            class="filter-chip"
            data-testid={`filter-${state}`}
            aria-pressed={chosen === state}
            onClick={() => change({ state: chosen === state ? 'all' : state })}
          >
            <span class="filter-count">{fleet.ready.value ? count(counts[state]) : UNKNOWN}</span>
            <span class="filter-label">
              {state !== 'all' && <StateGlyph state={state} size={11} />}
              {state === 'all' ? 'All' : STATE_LABELS[state]}
            </span>
          </button>
        ))}
      </div>
    </div>
  );
}
