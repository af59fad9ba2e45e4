import { useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { ApiError } from '../api/http';
import type { Organisation } from '../api/types';
import { now } from '../ui/clock';
import { explain, wait } from '../ui/explain';
import { PasswordField } from '../ui/PasswordField';
import { EntryCard } from './EntryCard';
import { OrganisationChoice } from './OrganisationChoice';
import { signIn } from './session';
import { notice } from './store';

const WORDS = { 'bad-credentials': 'That phone number or e-mail and password do not match.' };

export function SignIn() {
  const form = useSignIn();
  const isChoosing = form.organisations.value.length > 0;
  return (
    <EntryCard title={isChoosing ? 'Choose an organisation' : 'Sign in'}>
      {isChoosing ? <OrganisationChoice form={form} /> : <SignInForm form={form} />}
    </EntryCard>
  );
}

export type SignInState = ReturnType<typeof useSignIn>;

function useSignIn() {
  const identity = useSignal('');
  const password = useSignal('');
  const error = useSignal<string | undefined>(undefined);
  const busy = useSignal(false);
  /** Until when the server wants no further attempt. */
  const waitUntilMs = useSignal(0);
  const organisations = useSignal<Organisation[]>([]);

  const submit = async (orgId?: string) => {
    if (busy.value || waitUntilMs.value > Date.now()) return;
    error.value = missing(identity.value, password.value);
    if (error.value) return;
    busy.value = true;
    try {
      await signIn(identity.value, password.value, orgId);
    } catch (problem) {
      refused(problem);
    } finally {
      busy.value = false;
    }
  };

  const refused = (problem: unknown) => {
    const isApi = problem instanceof ApiError;
    if (isApi && problem.code === 'choose-organisation')
      return (organisations.value = problem.problem.organisations ?? []);
    if (isApi && problem.status === 429) {
      waitUntilMs.value = Date.now() + (problem.retryAfterS ?? 60) * 1_000;
      return (error.value = `Too many attempts. Try again in ${wait(problem.retryAfterS)}.`);
    }
    return (error.value = explain(problem, WORDS));
  };

  const back = () => {
    organisations.value = [];
    password.value = '';
  };
  return { identity, password, error, busy, waitUntilMs, organisations, submit, back };
}

function SignInForm({ form }: { form: SignInState }) {
  const { identity, password, error, busy } = form;
  const identityField = useRef<HTMLInputElement>(null);
  useEffect(() => identityField.current?.focus(), []);
  const message = error.value ?? notice.value;
  return (
    <>
      <p class="muted">See every vehicle and every trip as it happens.</p>
      <form
        class="entry-form"
        data-testid="sign-in-form"
        noValidate
        onSubmit={(event) => {
          event.preventDefault();
          void form.submit();
        }}
      >
        <div class="entry-message" role="alert" id="sign-in-message">
          {message && (
            <p data-testid="sign-in-error" data-kind={error.value ? 'error' : 'notice'}>
              {message}
            </p>
          )}
        </div>
        <label class="field">
          <span>Phone or e-mail</span>
          <input
            ref={identityField}
            name="username"
            autocomplete="username"
            autocapitalize="none"
            spellcheck={false}
            inputMode="email"
            aria-describedby="sign-in-message"
            value={identity.value}
            onInput={(event) => (identity.value = event.currentTarget.value)}
          />
        </label>
        <PasswordField
          label="Password"
          autocomplete="current-password"
          value={password.value}
          onInput={(value) => (password.value = value)}
        />
        <SubmitButton busy={busy.value} waitUntilMs={form.waitUntilMs.value} />
      </form>
    </>
  );
}

/** Counts down by itself; the message above says it once, so that a screen reader need not hear every second. */
function SubmitButton({ busy, waitUntilMs }: { busy: boolean; waitUntilMs: number }) {
  void now.value; // each second, again
  const waitS = Math.ceil((waitUntilMs - Date.now()) / 1_000);
  return (
    <button class="button primary" type="submit" aria-busy={busy} disabled={busy || waitS > 0}>
      {busy ? 'Signing in…' : waitS > 0 ? `Try again in ${wait(waitS)}` : 'Sign in'}
    </button>
  );
}

function missing(identity: string, password: string): string | undefined {
  if (!identity.trim()) return 'Enter your phone number or e-mail address.';
  if (!password) return 'Enter your password.';
  return undefined;
}
