import { PageHeading } from './heading';

export function UnknownPage() {
  return (
    <main class="page" data-testid="unknown-page">
      <div class="page-head">
        <PageHeading page="unknown" />
      </div>
      <p>
        This address leads nowhere. <a href="#/">Go to the live map</a>
      </p>
    </main>
  );
}
