import { useConsole } from '../console';
import { countByState } from '../fleet/filter';
import { STATE_LABELS, VEHICLE_STATES } from '../fleet/vehicle';
import { count, UNKNOWN } from '../ui/format';
import { StateGlyph } from '../ui/StateGlyph';

/** The fleet in five numbers. */
export function Figures() {
  const { fleet } = useConsole();
  const counts = countByState(fleet.rows.value);
  const shown = (value: number) => (fleet.ready.value ? count(value) : UNKNOWN);
  return (
    <dl class="figures" aria-label="The fleet now">
      <div class="figure">
        <dt>Vehicles</dt>
        <dd data-testid="figure-vehicles">{shown(counts.all)}</dd>
      </div>
      <div class="figure">
        <dt>Running trips</dt>
        <dd data-testid="figure-trips">{shown(fleet.runningTrips.value)}</dd>
      </div>
      {VEHICLE_STATES.map((state) => (
        <div class="figure" key={state} data-state={state}>
          <dt>
            <StateGlyph state={state} size={11} />
            {STATE_LABELS[state]}
          </dt>
          <dd data-testid={`figure-${state}`}>{shown(counts[state])}</dd>
        </div>
      ))}
    </dl>
  );
}
