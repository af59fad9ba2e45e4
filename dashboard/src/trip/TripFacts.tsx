import type { Trip, TripStatus } from '../api/types';
import { now } from '../ui/clock';
import { Fact } from '../ui/Fact';
import { UNKNOWN, when } from '../ui/format';
import { Failed, Lines } from '../ui/Loading';
import { Section } from '../ui/Section';
import type { TripDetail } from './trip-detail';

const STATUS_LABELS: Record<TripStatus, string> = {
  planned: 'Planned',
  started: 'Running',
  completed: 'Completed',
  cancelled: 'Cancelled',
};

export function TripFacts({ detail }: { detail: TripDetail }) {
  const trip = detail.trip.value;
  return (
    <Section title="Trip">
      {trip.kind === 'loading' && <Lines count={4} />}
      {trip.kind === 'failed' && <Failed detail={trip.detail} onRetry={() => detail.retry()} />}
      {trip.kind === 'ready' && <Facts trip={trip.value} />}
    </Section>
  );
}

function Facts({ trip }: { trip: Trip }) {
  return (
    <>
      <p class="trip-reference">
        <b>{trip.reference ?? 'No reference'}</b>
        <span class="badge" data-status={trip.status}>
          {STATUS_LABELS[trip.status] ?? trip.status}
        </span>
      </p>
      {(trip.origin || trip.destination) && (
        <ol class="legs">
          <li>
            <span class="visually-hidden">From </span>
            {trip.origin ?? UNKNOWN}
          </li>
          <li>
            <span class="visually-hidden">To </span>
            {trip.destination ?? UNKNOWN}
          </li>
        </ol>
      )}
      <dl class="facts">
        <Fact name="Driver">{trip.driverName}</Fact>
        <Fact name="Vehicle">{trip.truckName}</Fact>
        <Fact name="Customer">{trip.customerName}</Fact>
        {trip.plannedStartAt && <Time name="Planned start" at={trip.plannedStartAt} />}
        <Time name="Started" at={trip.startedAt} />
        {trip.completedAt && <Time name="Completed" at={trip.completedAt} />}
        {trip.cancelledAt && <Time name="Cancelled" at={trip.cancelledAt} />}
      </dl>
    </>
  );
}

function Time({ name, at }: { name: string; at: string | null | undefined }) {
  return <Fact name={name}>{at && <time dateTime={at}>{when(at, now.value)}</time>}</Fact>;
}
