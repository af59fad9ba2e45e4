import { useSignal } from '@preact/signals';
import { ApiError } from '../api/http';
import type { SignedIn } from '../session/store';
import { fieldError } from '../ui/explain';
import { FormError, TextField, useMissing, useSubmit } from '../ui/form';
import { PasswordField } from '../ui/PasswordField';
import { accept } from './invitation';

const MIN_PASSWORD_LENGTH = 10; // as the server's

const TOO_SHORT = `The password needs at least ${MIN_PASSWORD_LENGTH} characters.`;
const WORDS = {
  'already-member': 'You are a member already. Sign in with the password that you have.',
  'bad-credentials':
    'You have an account with this phone number or e-mail already: enter the password that you sign in with.',
};

interface Props {
  token: string;
  name: string;
  onAccepted: (answer: SignedIn) => void;
  onGone: () => void;
}

export function AcceptForm({ token, name: invitedName, onAccepted, onGone }: Props) {
  const name = useSignal(invitedName);
  const password = useSignal('');
  const missing = useMissing({
    name: () => (name.value.trim() ? undefined : 'Enter your name.'),
    password: () => (password.value.length >= MIN_PASSWORD_LENGTH ? undefined : TOO_SHORT),
  });
  const { busy, problem, run } = useSubmit();

  const submit = (event: Event) => {
    event.preventDefault();
    if (missing.isAny()) return;
    void run(async () => {
      try {
        onAccepted(await accept(token, name.value.trim(), password.value));
      } catch (error) {
        if (error instanceof ApiError && error.status === 404) return onGone();
        throw error;
      }
    });
  };

  return (
    <form class="entry-form" data-testid="accept-form" noValidate onSubmit={submit}>
      <TextField
        label="Your name"
        name="name"
        autocomplete="name"
        maxLength={200}
        value={name.value}
        onInput={(value) => (name.value = value)}
        error={missing.of('name') ?? fieldError(problem.value, 'name')}
      />
      <PasswordField
        label="Password"
        autocomplete="new-password"
        hint={`At least ${MIN_PASSWORD_LENGTH} characters. With an account already: its password.`}
        value={password.value}
        onInput={(value) => (password.value = value)}
        error={missing.of('password') ?? fieldError(problem.value, 'password')}
      />
      <FormError problem={problem.value} words={WORDS} fields={['name', 'password']} />
      <button class="button primary" type="submit" aria-disabled={busy.value}>
        {busy.value ? 'Joining…' : 'Accept and sign in'}
      </button>
    </form>
  );
}
