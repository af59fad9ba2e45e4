import type { VehicleState } from '../fleet/vehicle';

/** The map's marker as an icon: the state in its shape and its colour. */
export function StateGlyph({ state, size = 14 }: { state: VehicleState; size?: number }) {
  return (
    <svg class="glyph" data-state={state} width={size} height={size} viewBox="0 0 16 16" aria-hidden="true">
      {state === 'moving' && <path d="M8 1.2 13.4 14 8 11.1 2.6 14z" />}
      {state === 'stopped' && <rect x="3" y="3" width="10" height="10" rx="2.2" />}
      {state === 'silent' && <circle cx="8" cy="8" r="5" />}
    </svg>
  );
}
