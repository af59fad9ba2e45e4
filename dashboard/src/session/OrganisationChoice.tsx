import { ArrowLeft, ChevronRight } from 'lucide-preact';
import type { SignInState } from './SignIn';

/** For who belongs to several organisations: which of them now? */
export function OrganisationChoice({ form }: { form: SignInState }) {
  const { organisations, error, busy } = form;
  return (
    <>
      <p class="muted">
        You belong to {organisations.value.length} organisations. To change later, sign in again.
      </p>
      <div class="entry-message" role="alert">
        {error.value && (
          <p data-testid="sign-in-error" data-kind="error">
            {error.value}
          </p>
        )}
      </div>
      <ul class="choices" data-testid="organisations">
        {organisations.value.map(({ orgId, name }) => (
          <li key={orgId}>
            <button
              type="button"
              class="button choice"
              disabled={busy.value}
              onClick={() => void form.submit(orgId)}
            >
              {name}
              <ChevronRight size={18} />
            </button>
          </li>
        ))}
      </ul>
      <button type="button" class="button quiet" onClick={form.back}>
        <ArrowLeft size={16} />
        Back to sign in
      </button>
    </>
  );
}
