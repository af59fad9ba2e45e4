import { useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { ApiError } from '../api/http';
import { Dialog } from '../ui/Dialog';
import { Actions, FormError, Submit, useSubmit } from '../ui/form';
import { say } from '../ui/toast';
import { AssignmentFields, useAssignment } from './AssignmentFields';
import { fetchDevice, moveDevice, type Device } from './devices';

interface Props {
  device: Device;
  /** Called with the device as the server has it now. */
  onKnown: (device: Device) => void;
  onClose: () => void;
}

export function MoveDialog({ device, onKnown, onClose }: Props) {
  return (
    <Dialog title={`Move ${device.name}`} onClose={onClose} testId="move-dialog">
      <MoveForm device={device} onKnown={onKnown} onClose={onClose} />
    </Dialog>
  );
}

function MoveForm({ device, onKnown, onClose }: Props) {
  const { busy, problem, run } = useSubmit();
  const etag = useRef<string>();
  const known = useSignal<Device | undefined>(undefined);

  const read = async () => {
    const fresh = await fetchDevice(device.id);
    etag.current = fresh.etag;
    known.value = fresh.value;
    onKnown(fresh.value);
    return fresh.value;
  };
  useEffect(() => void run(async () => void (await read())), []);

  if (!known.value) return <FormError problem={problem.value} />;
  return (
    <MoveFields
      device={known.value}
      problem={problem.value}
      busy={busy.value}
      onClose={onClose}
      onSave={(assignment, changedByOther) =>
        run(async () => {
          try {
            const moved = await moveDevice(device.id, assignment, etag.current);
            onKnown(moved);
            say(`${moved.name} is now with ${moved.driverName ?? 'its new driver'}.`);
            onClose();
          } catch (error) {
            if (!(error instanceof ApiError && error.status === 412)) throw error;
            changedByOther(await read());
          }
        })
      }
    />
  );
}

interface FieldsProps {
  device: Device;
  problem: unknown;
  busy: boolean;
  onClose: () => void;
  onSave: (
    assignment: { driverId: string; truckId: string | null },
    changedByOther: (device: Device) => void,
  ) => Promise<void>;
}

function MoveFields({ device, problem, busy, onClose, onSave }: FieldsProps) {
  const assignment = useAssignment(device);
  const notice = useSignal<string | undefined>(undefined);
  const submit = (event: Event) => {
    event.preventDefault();
    notice.value = undefined;
    const chosen = assignment.read();
    if (!chosen) return;
    void onSave(chosen, (fresh) => {
      assignment.show(fresh);
      notice.value = `Somebody else changed ${fresh.name} meanwhile: this is how it stands now. Look again, then save.`;
    });
  };
  return (
    <form class="dialog-form" noValidate onSubmit={submit}>
      {notice.value && (
        <p class="form-notice" role="alert" data-testid="changed-by-other">
          {notice.value}
        </p>
      )}
      <AssignmentFields assignment={assignment} problem={problem} />
      <FormError problem={problem} fields={['driverId', 'truckId']} />
      <Actions>
        <button type="button" class="button" onClick={onClose}>
          Cancel
        </button>
        <Submit busy={busy} label="Move" busyLabel="Moving…" />
      </Actions>
    </form>
  );
}
