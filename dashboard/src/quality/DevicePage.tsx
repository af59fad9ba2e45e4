import { ArrowLeft } from 'lucide-preact';
import { PageHeading } from '../nav/heading';
import { maySeeRegisters } from '../session/roles';
import { now } from '../ui/clock';
import { Fact } from '../ui/Fact';
import { ago, when } from '../ui/format';
import { useLoaded } from '../ui/loaded';
import { Failed, Lines } from '../ui/Loading';
import { DayTable } from './DayTable';
import { HeardBadge } from './HeardBadge';
import { qualityPath, type DeviceQuality, type HeardDevice, type QualityDay } from './quality';
import { RejectionTable } from './RejectionTable';
import { clockWords, longCause, percent, span } from './words';

const EVERY_MS = 20_000;
// The days before are looked through fix by fix: costly, and they hardly change.
const DAYS = 14;
const DAYS_EVERY_MS = 600_000;

/** How one phone is heard of, and why not; what came from it by day; what of that was refused. */
export function DevicePage({ deviceId }: { deviceId: string }) {
  return (
    <main class="page" data-testid="device-page">
      <a class="back" href="#/devices">
        <ArrowLeft size={16} aria-hidden="true" />
        All devices
      </a>
      {maySeeRegisters() ? (
        <Quality key={deviceId} deviceId={deviceId} />
      ) : (
        <>
          <PageHeading page="device" />
          <p class="muted">Your role does not show the devices of the organisation.</p>
        </>
      )}
    </main>
  );
}

function Quality({ deviceId }: { deviceId: string }) {
  const quality = useLoaded<DeviceQuality>(qualityPath(deviceId, 1), EVERY_MS);
  const known = quality.value.value;
  return (
    <>
      <div class="page-head">
        <PageHeading page="device">{known?.device.name}</PageHeading>
      </div>
      {quality.error.value && <Failed detail={quality.error.value} onRetry={() => void quality.load()} />}
      {!known && !quality.error.value && <Lines count={6} />}
      {known && (
        <>
          <Now device={known.device} />
          <section class="page-section" aria-labelledby="by-day">
            <h2 id="by-day">By day</h2>
            <p class="muted note">
              Days of UTC, by the time of receipt. A gap: over 5 minutes in which it got on 500 m unseen.
            </p>
            <Days deviceId={deviceId} today={known.days} />
          </section>
          <section class="page-section" aria-labelledby="refused">
            <h2 id="refused">Refused locations</h2>
            <RejectionTable deviceId={deviceId} />
          </section>
        </>
      )}
    </>
  );
}

function Days({ deviceId, today }: { deviceId: string; today: readonly QualityDay[] }) {
  const all = useLoaded<DeviceQuality>(qualityPath(deviceId, DAYS), DAYS_EVERY_MS);
  if (all.error.value) return <Failed detail={all.error.value} onRetry={() => void all.load()} />;
  if (!all.value.value) return <Lines count={3} />;
  const known = new Set(today.map(({ day }) => day));
  return <DayTable days={[...today, ...all.value.value.days.filter(({ day }) => !known.has(day))]} />;
}

function Now({ device }: { device: HeardDevice }) {
  return (
    <section class="card" aria-label="Now" data-testid="device-now">
      <p class="card-state">
        <HeardBadge state={device.state} />
        {device.silentSince && (
          <span>
            since <time dateTime={device.silentSince}>{when(device.silentSince, now.value)}</time>
          </span>
        )}
      </p>
      {device.because && <p data-testid="because">{longCause(device.because)}</p>}
      <dl class="facts wide">
        <Fact name="Last heard of">{device.heardAt ? ago(device.heardAt, now.value) : 'never'}</Fact>
        <Fact name="Battery">
          {device.battery != null &&
            `${percent(device.battery)}${device.batteryAt ? `, ${ago(device.batteryAt, now.value)}` : ''}`}
        </Fact>
        <Fact name="Driver">{device.driverName}</Fact>
        <Fact name="Truck">{device.truckName}</Fact>
        <Fact name="Delay">{device.delay != null && span(Math.max(0, device.delay))}</Fact>
        <Fact name="Accuracy">{device.accuracy != null && `${Math.round(device.accuracy)} m`}</Fact>
        <Fact name="Clock">{device.clockOffset != null && clockWords(device.clockOffset)}</Fact>
        <Fact name="App">{device.source}</Fact>
      </dl>
    </section>
  );
}
