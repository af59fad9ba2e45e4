import type { ComponentChildren } from 'preact';
import { UNKNOWN } from './format';

/** One term and its value, in a `dl`; a dash where nothing is known. */
export function Fact({ name, children }: { name: string; children: ComponentChildren }) {
  return (
    <div class="fact">
      <dt>{name}</dt>
      <dd>{children || UNKNOWN}</dd>
    </div>
  );
}
