import { useSignal } from '@preact/signals';
import { useMemo } from 'preact/hooks';
import { Dialog } from '../ui/Dialog';
import { fieldError } from '../ui/explain';
import { Actions, FormError, Submit, TextField, useMissing, useSubmit } from '../ui/form';
import { wishKeys } from '../ui/ids';
import { AssignmentFields, useAssignment } from './AssignmentFields';
import { giveDevice, type Device, type Given } from './devices';
import { TokenDialog } from './TokenDialog';

interface Props {
  onGiven: (device: Device) => void;
  onClose: () => void;
}

export function GiveDialog({ onGiven, onClose }: Props) {
  const given = useSignal<Given | undefined>(undefined);
  if (given.value) return <TokenDialog given={given.value} onClose={onClose} />;
  return (
    <Dialog title="Give a device" onClose={onClose} testId="give-dialog">
      <GiveForm
        onClose={onClose}
        onGiven={(answer) => {
          const { token: _token, setup: _setup, ...device } = answer;
          onGiven(device);
          given.value = answer;
        }}
      />
    </Dialog>
  );
}

function GiveForm({ onGiven, onClose }: { onGiven: (given: Given) => void; onClose: () => void }) {
  const name = useSignal('');
  const missing = useMissing({ name: () => (name.value.trim() ? undefined : 'Enter a name.') });
  const assignment = useAssignment();
  const { busy, problem, run } = useSubmit();
  const keyFor = useMemo(wishKeys, []);

  const submit = (event: Event) => {
    event.preventDefault();
    const chosen = assignment.read();
    if (missing.isAny() || !chosen) return;
    const wish = { name: name.value.trim(), ...chosen };
    void run(async () => onGiven(await giveDevice(wish, keyFor(wish))));
  };

  return (
    <form class="dialog-form" noValidate onSubmit={submit}>
      <TextField
        label="Name of the device"
        name="name"
        maxLength={200}
        hint="As you would call it: “Tendai's phone”."
        value={name.value}
        onInput={(value) => (name.value = value)}
        error={missing.of('name') ?? fieldError(problem.value, 'name')}
      />
      <AssignmentFields assignment={assignment} problem={problem.value} />
      <FormError problem={problem.value} fields={['name', 'driverId', 'truckId']} />
      <Actions>
        <button type="button" class="button" onClick={onClose}>
          Cancel
        </button>
        <Submit busy={busy.value} label="Give the device" busyLabel="Giving…" />
      </Actions>
    </form>
  );
}
