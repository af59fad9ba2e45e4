import { useSignal } from '@preact/signals';
import { ApiError } from '../api/http';
import { mayManageMembers, roleName } from '../session/roles';
import { ConfirmDialog } from '../ui/ConfirmDialog';
import { day } from '../ui/format';
import type { Paged } from '../ui/paged';
import { say } from '../ui/toast';
import { Contact } from './Contact';
import { withdrawInvitation, type Invitation } from './members';

export function InvitationTable({ list }: { list: Paged<Invitation> }) {
  const leaving = useSignal<Invitation | undefined>(undefined);
  const isManaged = mayManageMembers();
  const withdraw = async ({ id, name }: Invitation) => {
    await withdrawInvitation(id).catch(unlessGone);
    list.drop(id);
    leaving.value = undefined;
    say(`The invitation of ${name} was withdrawn.`);
  };
  return (
    <>
      <table class="table" role="table" data-testid="invitation-table">
        <caption class="visually-hidden">Open invitations</caption>
        <thead role="rowgroup">
          <tr role="row">
            <th role="columnheader">Name</th>
            <th role="columnheader">Phone or e-mail</th>
            <th role="columnheader">Role</th>
            <th role="columnheader">Invited by</th>
            <th role="columnheader">Open until</th>
            {isManaged && (
              <th role="columnheader">
                <span class="visually-hidden">Actions</span>
              </th>
            )}
          </tr>
        </thead>
        <tbody role="rowgroup">
          {list.rows.value.map((invitation) => (
            <InvitationRow
              key={invitation.id}
              invitation={invitation}
              onWithdraw={isManaged ? () => (leaving.value = invitation) : undefined}
            />
          ))}
        </tbody>
      </table>
      {leaving.value && (
        <WithdrawDialog
          invitation={leaving.value}
          onConfirm={withdraw}
          onClose={() => (leaving.value = undefined)}
        />
      )}
    </>
  );
}

/** Accepted, run out or withdrawn by somebody else: it is no longer open, as was wished. */
function unlessGone(error: unknown): void {
  if (!(error instanceof ApiError && error.status === 404)) throw error;
}

interface RowProps {
  invitation: Invitation;
  onWithdraw: (() => void) | undefined;
}

function InvitationRow({ invitation, onWithdraw }: RowProps) {
  return (
    <tr role="row" data-testid="invitation-row">
      <th role="rowheader" scope="row">
        {invitation.name}
      </th>
      <td role="cell" data-label="Phone or e-mail">
        <Contact of={invitation} />
      </td>
      <td role="cell" data-label="Role" class="short">
        {roleName(invitation.role)}
      </td>
      <td role="cell" data-label="Invited by">
        {invitation.invitedByName ?? '—'}, {day(invitation.createdAt)}
      </td>
      <td role="cell" data-label="Open until" class="short">
        {day(invitation.expiresAt)}
      </td>
      {onWithdraw && (
        <td role="cell" class="actions">
          <button
            type="button"
            class="button small quiet"
            aria-label={`Withdraw the invitation of ${invitation.name}`}
            onClick={onWithdraw}
          >
            Withdraw
          </button>
        </td>
      )}
    </tr>
  );
}

interface WithdrawProps {
  invitation: Invitation;
  onConfirm: (invitation: Invitation) => Promise<void>;
  onClose: () => void;
}

function WithdrawDialog({ invitation, onConfirm, onClose }: WithdrawProps) {
  return (
    <ConfirmDialog
      title={`Withdraw the invitation of ${invitation.name}?`}
      label="Withdraw"
      busyLabel="Withdrawing…"
      danger
      onConfirm={() => onConfirm(invitation)}
      onClose={onClose}
    >
      <p>The link that {invitation.name} was sent stops working. You can invite them again.</p>
    </ConfirmDialog>
  );
}
