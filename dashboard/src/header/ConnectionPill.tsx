import { useConsole } from '../console';
import type { Liveness } from '../realtime/liveness';
import { age, clock } from '../ui/format';
import { now } from '../ui/clock';

export function ConnectionPill() {
  const link = useConsole().link.value;
  return (
    <div class="connection" data-testid="connection" data-kind={link.kind}>
      <span class="connection-dot" aria-hidden="true" />
      {/* Only the state is announced; the age beside it ticks each second and would never let a reader finish. */}
      <span role="status">{headline(link)}</span>
      <span class="connection-detail">{detail(link, now.value)}</span>
    </div>
  );
}

export function headline(link: Liveness): string {
  switch (link.kind) {
    case 'connecting':
      return 'Connecting…';
    case 'live':
      return 'Live';
    case 'quiet':
      return 'No updates';
    case 'reconnecting':
      return 'Reconnecting…';
    case 'offline':
      return `Offline since ${clock(link.sinceMs)}`;
  }
}

function detail(link: Liveness, nowMs: number): string {
  if (link.kind !== 'quiet' && link.kind !== 'reconnecting') return '';
  return link.lastUpdateMs === undefined ? '' : `last update ${age(link.lastUpdateMs, nowMs)} ago`;
}
