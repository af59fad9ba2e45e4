import { useSignal } from '@preact/signals';
import { Eye, EyeOff } from 'lucide-preact';
import { useEffect, useRef } from 'preact/hooks';
import { ApiError } from '../api/http';
import { ThemeToggle } from '../theme/ThemeToggle';
import { Logo } from '../ui/Logo';
import { notice, signIn } from './session';

export function SignIn() {
  return (
    <div class="sign-in-page">
      <div class="sign-in-corner">
        <ThemeToggle />
      </div>
      <main class="sign-in-card">
        <div class="sign-in-brand">
          <Logo size={36} />
          <span>Waypost</span>
        </div>
        <h1>Sign in</h1>
        <p class="muted">See every vehicle and every trip as it happens.</p>
        <SignInForm />
      </main>
    </div>
  );
}

function SignInForm() {
  const identity = useSignal('');
  const password = useSignal('');
  const error = useSignal<string | undefined>(undefined);
  const busy = useSignal(false);
  const identityField = useRef<HTMLInputElement>(null);
  useEffect(() => identityField.current?.focus(), []);

  const submit = async (event: Event) => {
    event.preventDefault();
    if (busy.value) return;
    error.value = missing(identity.value, password.value);
    if (error.value) return;
    busy.value = true;
    try {
      await signIn(identity.value, password.value);
    } catch (problem) {
      error.value = explain(problem);
    } finally {
      busy.value = false;
    }
  };

  const message = error.value ?? notice.value;
  return (
    <form class="sign-in-form" data-testid="sign-in-form" onSubmit={submit} noValidate>
      <div class="sign-in-message" role="alert">
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
          value={identity.value}
          onInput={(event) => (identity.value = event.currentTarget.value)}
        />
      </label>
      <PasswordField value={password.value} onInput={(value) => (password.value = value)} />
      <button class="button primary" type="submit" aria-busy={busy.value} disabled={busy.value}>
        {busy.value ? 'Signing in…' : 'Sign in'}
      </button>
    </form>
  );
}

function PasswordField({ value, onInput }: { value: string; onInput: (value: string) => void }) {
  const shown = useSignal(false);
  return (
    <div class="field">
      <label for="password">Password</label>
      <div class="field-with-button">
        <input
          id="password"
          name="password"
          type={shown.value ? 'text' : 'password'}
          autocomplete="current-password"
          value={value}
          onInput={(event) => onInput(event.currentTarget.value)}
        />
        <button
          type="button"
          class="icon-button"
          aria-label="Show password"
          aria-pressed={shown.value}
          onClick={() => (shown.value = !shown.value)}
        >
          {shown.value ? <EyeOff size={18} /> : <Eye size={18} />}
        </button>
      </div>
    </div>
  );
}

function missing(identity: string, password: string): string | undefined {
  if (!identity.trim()) return 'Enter your phone number or e-mail address.';
  if (!password) return 'Enter your password.';
  return undefined;
}

/** What to do about it, in the words of the person at the form. */
function explain(problem: unknown): string {
  if (!(problem instanceof ApiError)) return 'Something went wrong. Try again.';
  if (problem.code === 'bad-credentials') return 'That phone number or e-mail and password do not match.';
  if (problem.code === 'unreachable')
    return 'The server cannot be reached. Check your connection and try again.';
  if (problem.status === 429) return 'Too many attempts. Wait a minute and try again.';
  if (problem.status >= 500) return 'The server is not ready. Try again in a moment.';
  return problem.problem.errors?.map((each) => each.detail).join(' ') || problem.message;
}
