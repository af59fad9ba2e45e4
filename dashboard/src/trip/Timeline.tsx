import type { EventKind, TripEvent } from '../api/types';
import { now } from '../ui/clock';
import { when } from '../ui/format';
import { Failed, Lines } from '../ui/Loading';
import { Section } from '../ui/Section';
import type { TripDetail } from './trip-detail';

const KIND_LABELS: Record<EventKind, string> = {
  created: 'Trip created',
  changed: 'Trip changed',
  started: 'Trip started',
  completed: 'Trip completed',
  cancelled: 'Trip cancelled',
};

export function Timeline({ detail }: { detail: TripDetail }) {
  const events = detail.events.value;
  return (
    <Section title="Events">
      {events.kind === 'loading' && <Lines count={3} />}
      {events.kind === 'failed' && <Failed detail={events.detail} onRetry={() => detail.retry()} />}
      {events.kind === 'ready' && <List events={events.value} />}
    </Section>
  );
}

function List({ events }: { events: readonly TripEvent[] }) {
  if (events.length === 0) return <p class="muted">Nothing has happened on this trip yet.</p>;
  return (
    <ol class="timeline" data-testid="event-list">
      {events.map((event) => (
        <li key={event.eventId} data-kind={event.kind}>
          <time dateTime={event.at}>{when(event.at, now.value)}</time>
          <span>
            {KIND_LABELS[event.kind] ?? humanise(event.kind)}
            {event.actorName && <span class="muted"> by {event.actorName}</span>}
            <Changes data={event.data} />
          </span>
        </li>
      ))}
    </ol>
  );
}

/** Names of the fields that changed, or the reason that was given: whatever short text the event carries. */
function Changes({ data }: { data: TripEvent['data'] }) {
  const text = changesText(data ?? {});
  return text ? <span class="timeline-detail">{text}</span> : null;
}

export function changesText(data: Record<string, unknown>): string {
  if (typeof data['reason'] === 'string') return data['reason'];
  const fields = Array.isArray(data['fields'])
    ? data['fields']
    : Object.keys((data['changes'] as object | null) ?? {});
  return fields.map((field) => humanise(String(field))).join(', ');
}

/** `plannedStartAt` → "planned start at". */
export function humanise(name: string): string {
  return name
    .replace(/[_-]/g, ' ')
    .replace(/([a-z])([A-Z])/g, (_, a: string, b: string) => `${a} ${b.toLowerCase()}`);
}
