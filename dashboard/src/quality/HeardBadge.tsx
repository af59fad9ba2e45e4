import { HEARD_LABELS } from './words';
import type { HeardState } from './quality';

export function HeardBadge({ state }: { state: HeardState }) {
  return (
    <span class="badge" data-heard={state}>
      {HEARD_LABELS[state] ?? state}
    </span>
  );
}
