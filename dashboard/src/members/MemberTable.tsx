import { useSignal } from '@preact/signals';
import { mayManageMembers, roleName } from '../session/roles';
import { session } from '../session/store';
import { now } from '../ui/clock';
import { ConfirmDialog } from '../ui/ConfirmDialog';
import { ago, day } from '../ui/format';
import type { Paged } from '../ui/paged';
import { say } from '../ui/toast';
import { Contact } from './Contact';
import { removeMember, type Member } from './members';
import { RoleDialog } from './RoleDialog';

type Deed = { kind: 'role' | 'remove'; member: Member };

const WORDS = {
  'last-owner': 'This is the only owner. Make somebody else owner first.',
  'member-not-found': 'Somebody else has removed this member already.',
};

export function MemberTable({ list }: { list: Paged<Member> }) {
  const deed = useSignal<Deed | undefined>(undefined);
  const isManaged = mayManageMembers();
  const close = () => (deed.value = undefined);
  const removed = async (member: Member) => {
    await removeMember(member.userId);
    list.drop(member.userId);
    close();
    say(`${member.name} was removed.`);
  };
  return (
    <>
      <table class="table" role="table" data-testid="member-table">
        <caption class="visually-hidden">Members</caption>
        <thead role="rowgroup">
          <tr role="row">
            <th role="columnheader">Name</th>
            <th role="columnheader">Phone or e-mail</th>
            <th role="columnheader">Role</th>
            <th role="columnheader">Member since</th>
            <th role="columnheader">Last seen</th>
            {isManaged && (
              <th role="columnheader">
                <span class="visually-hidden">Actions</span>
              </th>
            )}
          </tr>
        </thead>
        <tbody role="rowgroup">
          {list.rows.value.map((member) => (
            <MemberRow
              key={member.userId}
              member={member}
              onDeed={isManaged ? (kind) => (deed.value = { kind, member }) : undefined}
            />
          ))}
        </tbody>
      </table>
      {deed.value?.kind === 'role' && (
        <RoleDialog member={deed.value.member} onKnown={(member) => list.put(member)} onClose={close} />
      )}
      {deed.value?.kind === 'remove' && (
        <RemoveDialog member={deed.value.member} onConfirm={removed} onClose={close} />
      )}
    </>
  );
}

interface RowProps {
  member: Member;
  /** Undefined for who only looks. */
  onDeed: ((kind: Deed['kind']) => void) | undefined;
}

function MemberRow({ member, onDeed }: RowProps) {
  const isMe = member.userId === session.value?.user.id;
  return (
    <tr role="row" data-testid="member-row">
      <th role="rowheader" scope="row">
        {member.name}
        {isMe && <span class="tag">You</span>}
      </th>
      <td role="cell" data-label="Phone or e-mail">
        <Contact of={member} />
      </td>
      <td role="cell" data-label="Role" class="short">
        {roleName(member.role)}
      </td>
      <td role="cell" data-label="Member since" class="short">
        {day(member.createdAt)}
      </td>
      <td role="cell" data-label="Last seen" class="short">
        {ago(member.lastSeenAt, now.value, 'never')}
      </td>
      {onDeed && (
        <td role="cell" class="actions">
          <button
            type="button"
            class="button small quiet"
            aria-label={`Change role of ${member.name}`}
            onClick={() => onDeed('role')}
          >
            Change role
          </button>
          <button
            type="button"
            class="button small quiet"
            aria-label={`Remove ${member.name}`}
            onClick={() => onDeed('remove')}
          >
            Remove
          </button>
        </td>
      )}
    </tr>
  );
}

interface RemoveProps {
  member: Member;
  onConfirm: (member: Member) => Promise<void>;
  onClose: () => void;
}

function RemoveDialog({ member, onConfirm, onClose }: RemoveProps) {
  const isMe = member.userId === session.value?.user.id;
  return (
    <ConfirmDialog
      title={isMe ? 'Leave the organisation?' : `Remove ${member.name}?`}
      label={isMe ? 'Leave' : `Remove ${member.name}`}
      busyLabel="Removing…"
      danger
      words={WORDS}
      onConfirm={() => onConfirm(member)}
      onClose={onClose}
    >
      <p>
        {isMe ? 'You are' : `${member.name} is`} signed out everywhere within seconds and cannot sign in to{' '}
        {session.value?.user.orgName ?? 'this organisation'} any more. What {isMe ? 'you' : 'they'} did stays
        recorded.
      </p>
    </ConfirmDialog>
  );
}
