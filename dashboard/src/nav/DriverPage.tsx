import { PageHeading } from './heading';

/** The map is for who watches the whole fleet: a driver who signs in here is told where to look instead. */
export function DriverPage() {
  return (
    <main class="page" data-testid="driver-page">
      <div class="page-head">
        <PageHeading page="map" />
      </div>
      <p class="muted">
        You are signed in as a driver. The map is for dispatchers; your own trips are in the app on your
        phone.
      </p>
    </main>
  );
}
