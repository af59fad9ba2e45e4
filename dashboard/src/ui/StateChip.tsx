import { STATE_LABELS, type VehicleState } from '../fleet/vehicle';
import { StateGlyph } from './StateGlyph';

export function StateChip({ state }: { state: VehicleState }) {
  return (
    <span class="chip" data-state={state}>
      <StateGlyph state={state} size={11} />
      {STATE_LABELS[state]}
    </span>
  );
}
