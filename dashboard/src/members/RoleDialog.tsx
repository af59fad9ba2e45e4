import { useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { ApiError } from '../api/http';
import { roleName } from '../session/roles';
import { renew } from '../session/session';
import { session } from '../session/store';
import { Dialog } from '../ui/Dialog';
import { Actions, FormError, Submit, useSubmit } from '../ui/form';
import { say } from '../ui/toast';
import { changeRole, fetchMember, type Member } from './members';
import { RoleChoice } from './RoleChoice';

const WORDS = {
  'last-owner': 'This is the only owner. Make somebody else owner first.',
  'member-not-found': 'Somebody else has removed this member meanwhile.',
};

interface Props {
  member: Member;
  /** Called with the member as the server has it now. */
  onKnown: (member: Member) => void;
  onClose: () => void;
}

export function RoleDialog({ member, onKnown, onClose }: Props) {
  const known = useRef(member.role);
  const role = useSignal(member.role);
  const etag = useSignal<string | undefined>(undefined);
  const changedByOther = useSignal<string | undefined>(undefined);
  const { busy, problem, run } = useSubmit();

  const read = async () => {
    const fresh = await fetchMember(member.userId);
    etag.value = fresh.etag;
    // A choice made meanwhile stays, unless it was made against a role that is no more.
    if (fresh.value.role !== known.current) role.value = known.current = fresh.value.role;
    onKnown(fresh.value);
    return fresh.value;
  };
  // What is on the page may be old; what the dialog shows is what the change is about.
  useEffect(() => void run(async () => void (await read())), []);

  const save = async () => {
    changedByOther.value = undefined;
    try {
      const saved = await changeRole(member.userId, role.value, etag.value);
      onKnown(saved);
      say(`${saved.name} is now ${roleName(saved.role)}.`);
      if (saved.userId === session.value?.user.id) void renew();
      onClose();
    } catch (error) {
      if (!(error instanceof ApiError && error.status === 412)) throw error;
      const fresh = await read();
      changedByOther.value = `Somebody else changed ${fresh.name} meanwhile: the role is ${roleName(fresh.role)} now. Look again, then save.`;
    }
  };

  return (
    <Dialog title={`Role of ${member.name}`} onClose={onClose} testId="role-dialog">
      <form
        class="dialog-form"
        onSubmit={(event) => {
          event.preventDefault();
          void run(save);
        }}
      >
        {changedByOther.value && (
          <p class="form-notice" role="alert" data-testid="changed-by-other">
            {changedByOther.value}
          </p>
        )}
        <RoleChoice value={role.value} onChange={(chosen) => (role.value = chosen)} />
        <FormError problem={problem.value} words={WORDS} />
        <Actions>
          <button type="button" class="button" onClick={onClose}>
            Cancel
          </button>
          <Submit busy={busy.value} label="Save" busyLabel={etag.value ? 'Saving…' : 'Loading…'} />
        </Actions>
      </form>
    </Dialog>
  );
}
