import type { Row } from '../fleet/vehicle';
import { Fact } from '../ui/Fact';
import { compass, coordinates, kmh } from '../ui/format';
import { Section } from '../ui/Section';
import { Sparkline } from './Sparkline';
import type { TripDetail } from './trip-detail';

export function LastPosition({ row, detail }: { row: Row; detail: TripDetail | undefined }) {
  const { position } = row;
  if (!position)
    return (
      <Section title="Last position">
        <p class="muted">No position has come in yet.</p>
      </Section>
    );
  const recent = detail?.recent.value;
  return (
    <Section title="Last position">
      <div class="speed">
        <p class="speed-now">
          <b>{kmh(row.speedMps)}</b> <span>km/h</span>
        </p>
        {recent?.kind === 'loading' && <span class="skeleton speed-skeleton" />}
        {recent?.kind === 'ready' && <Sparkline fixes={recent.value} />}
      </div>
      <dl class="facts">
        <Fact name="Heading">{compass(row.headingDeg)}</Fact>
        <Fact name="Accuracy">{position.accuracy != null && `± ${Math.round(position.accuracy)} m`}</Fact>
        <Fact name="Battery">{position.battery != null && `${Math.round(position.battery)} %`}</Fact>
        <Fact name="Coordinates">{coordinates(position.latitude, position.longitude)}</Fact>
        {position.flags && position.flags.length > 0 && (
          <Fact name="Doubts">{position.flags.join(', ')}</Fact>
        )}
      </dl>
    </Section>
  );
}
