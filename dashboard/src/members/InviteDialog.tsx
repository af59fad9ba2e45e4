import { useSignal } from '@preact/signals';
import { useMemo } from 'preact/hooks';
import type { Role } from '../api/types';
import { addressOf } from '../session/session';
import { CopyField } from '../ui/CopyField';
import { Dialog } from '../ui/Dialog';
import { fieldError } from '../ui/explain';
import { Actions, FormError, Submit, TextField, useMissing, useSubmit } from '../ui/form';
import { day } from '../ui/format';
import { wishKeys } from '../ui/ids';
import { invite, type Invited } from './members';
import { RoleChoice } from './RoleChoice';

const WORDS = {
  'already-member': 'Whoever signs in with that phone number or e-mail is a member already.',
};

interface Props {
  onInvited: () => void;
  onClose: () => void;
}

export function InviteDialog({ onInvited, onClose }: Props) {
  const invited = useSignal<Invited | undefined>(undefined);
  if (invited.value) return <LinkOnce invited={invited.value} onClose={onClose} />;
  return (
    <Dialog title="Invite a member" onClose={onClose} testId="invite-dialog">
      <InviteForm
        onClose={onClose}
        onInvited={(answer) => {
          onInvited();
          invited.value = answer;
        }}
      />
    </Dialog>
  );
}

interface FormProps {
  onInvited: (invited: Invited) => void;
  onClose: () => void;
}

function InviteForm({ onInvited, onClose }: FormProps) {
  const name = useSignal('');
  const contact = useSignal('');
  const role = useSignal<Role>('dispatcher');
  const missing = useMissing({
    name: () => (name.value.trim() ? undefined : 'Enter a name.'),
    contact: () => (contact.value.trim() ? undefined : 'Enter a phone number or an e-mail address.'),
  });
  const { busy, problem, run } = useSubmit();
  const keyFor = useMemo(wishKeys, []);

  const submit = (event: Event) => {
    event.preventDefault();
    if (missing.isAny()) return;
    const wish = { name: name.value.trim(), ...addressOf(contact.value), role: role.value };
    void run(async () => onInvited(await invite(wish, keyFor(wish))));
  };

  return (
    <form class="dialog-form" noValidate onSubmit={submit}>
      <TextField
        label="Name"
        name="name"
        maxLength={200}
        value={name.value}
        onInput={(value) => (name.value = value)}
        error={missing.of('name') ?? fieldError(problem.value, 'name')}
      />
      <TextField
        label="Phone or e-mail"
        name="contact"
        inputMode="email"
        maxLength={254}
        hint="With it they sign in. A phone number with its country: +263 77 123 4567"
        value={contact.value}
        onInput={(value) => (contact.value = value)}
        error={missing.of('contact') ?? fieldError(problem.value, 'phone', 'email')}
      />
      <RoleChoice value={role.value} onChange={(chosen) => (role.value = chosen)} />
      <FormError problem={problem.value} words={WORDS} fields={['name', 'phone', 'email']} />
      <Actions>
        <button type="button" class="button" onClick={onClose}>
          Cancel
        </button>
        <Submit busy={busy.value} label="Invite" busyLabel="Inviting…" />
      </Actions>
    </form>
  );
}

function LinkOnce({ invited, onClose }: { invited: Invited; onClose: () => void }) {
  return (
    <Dialog title={`${invited.name} is invited`} onClose={onClose} testId="invited-dialog" sticky>
      <div class="dialog-form">
        <div class="dialog-text">
          <p>
            Send this link to {invited.name}. Whoever opens it first joins in their place, so send it to
            nobody else. It works once, until {day(invited.expiresAt)}, and <b>is not shown again</b>.
          </p>
        </div>
        <CopyField label="Invitation link" value={invited.url} testId="invitation-link" first />
        <Actions>
          <button type="button" class="button primary" onClick={onClose}>
            Done
          </button>
        </Actions>
      </div>
    </Dialog>
  );
}
