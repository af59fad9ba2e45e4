import { Route as RouteIcon, X } from 'lucide-preact';
import { useEffect, useRef } from 'preact/hooks';
import { useConsole } from '../console';
import type { Row } from '../fleet/vehicle';
import { isMapShown } from '../nav/route';
import { trouble } from '../quality/words';
import { session } from '../session/store';
import { now } from '../ui/clock';
import { freshness } from '../ui/format';
import { Section } from '../ui/Section';
import { StateChip } from '../ui/StateChip';
import { LastPosition } from './LastPosition';
import { Timeline } from './Timeline';
import type { TripDetail } from './trip-detail';
import { TripFacts } from './TripFacts';
import { Watchers } from './Watchers';

/** The drawer of the selected vehicle and the trip it is on. Escape closes it. */
export function TripPanel() {
  const { selected, detail, fleet, qualities, connection, select } = useConsole();
  const row = selected.value;
  const known = row?.state === 'silent' && trouble(qualities?.byVehicle.value.get(row.id), now.value);
  // Without a connection nobody knows who watches.
  const watchers = (connection.online.value && detail.value?.watchers.value) || [];
  const others = watchers.filter(({ userId }) => userId !== session.value?.user.id);
  const close = () => select(undefined);
  useEscape(close);
  return (
    <aside class="panel" data-testid="trip-panel" aria-label={row ? `${row.name}: details` : 'Details'}>
      <header class="panel-head">
        <div class="panel-title">
          <h2>{row?.name ?? (fleet.ready.value ? 'Unknown vehicle' : 'Loading…')}</h2>
          {row && (
            <div class="panel-state">
              <StateChip state={row.state} />
              <span class="muted">{known || freshness(row.recordedAtMs, now.value)}</span>
              <Watchers others={others} />
            </div>
          )}
        </div>
        <button
          type="button"
          class="icon-button"
          aria-label="Close details"
          title="Close (Esc)"
          onClick={close}
        >
          <X size={18} />
        </button>
      </header>
      <div class="panel-body">
        {row && <Body row={row} detail={detail.value} />}
        {!row && fleet.ready.value && <p class="muted">This vehicle is not in your fleet, or no longer.</p>}
      </div>
    </aside>
  );
}

function Body({ row, detail }: { row: Row; detail: TripDetail | undefined }) {
  return (
    <>
      {detail ? (
        <TripFacts detail={detail} />
      ) : (
        <Section title="Trip">
          <p class="muted">No running trip. The vehicle is followed all the same.</p>
        </Section>
      )}
      <LastPosition row={row} detail={detail} />
      {detail && <TrackButton detail={detail} />}
      {detail && <Timeline detail={detail} />}
    </>
  );
}

function TrackButton({ detail }: { detail: TripDetail }) {
  const track = detail.track.value;
  const fixCount = track?.kind === 'ready' ? track.value.length : 0;
  return (
    <div class="panel-actions">
      <button
        type="button"
        class="button"
        data-testid="show-track"
        aria-pressed={track !== undefined}
        aria-busy={track?.kind === 'loading'}
        onClick={() => detail.toggleTrack()}
      >
        <RouteIcon size={16} />
        {track ? 'Hide track' : 'Show track'}
      </button>
      <span class="muted" role="status">
        {track?.kind === 'loading' && 'Loading the track…'}
        {track?.kind === 'failed' && track.detail}
        {track?.kind === 'ready' &&
          (fixCount > 1 ? `${fixCount.toLocaleString()} positions` : 'No track yet')}
      </span>
    </div>
  );
}

function useEscape(close: () => void): void {
  const latest = useRef(close);
  latest.current = close;
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      // In the search box Escape empties the box first.
      const isTyping = event.target instanceof HTMLInputElement && event.target.value !== '';
      if (event.key === 'Escape' && !isTyping && isMapShown.value) latest.current();
    };
    document.addEventListener('keydown', onKey);
    return () => document.removeEventListener('keydown', onKey);
  }, []);
}
