import { useSignal } from '@preact/signals';
import { ChevronDown, ChevronUp } from 'lucide-preact';
import { STATE_LABELS, VEHICLE_STATES } from '../fleet/vehicle';
import { StateGlyph } from '../ui/StateGlyph';

/** Open on a wide screen, a small button on a phone. */
export function Legend() {
  const isOpen = useSignal(window.matchMedia('(min-width: 900px)').matches);
  return (
    <div class="legend" data-open={isOpen.value}>
      <button
        type="button"
        class="legend-toggle"
        aria-expanded={isOpen.value}
        onClick={() => (isOpen.value = !isOpen.value)}
      >
        Legend
        {isOpen.value ? <ChevronDown size={14} /> : <ChevronUp size={14} />}
      </button>
      {isOpen.value && (
        <ul>
          {VEHICLE_STATES.map((state) => (
            <li key={state}>
              <StateGlyph state={state} />
              {STATE_LABELS[state]}
              {state === 'moving' && <span class="muted">a dot: direction unknown</span>}
              {state === 'silent' && <span class="muted">for a minute or more</span>}
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}
