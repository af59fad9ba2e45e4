import { useSignal } from '@preact/signals';
import { UserPlus } from 'lucide-preact';
import { PageHeading } from '../nav/heading';
import { mayManageMembers, maySeeRegisters } from '../session/roles';
import { session } from '../session/store';
import { ListFrame } from '../ui/ListFrame';
import type { Paged } from '../ui/paged';
import { usePaged } from '../ui/usePaged';
import { InvitationTable } from './InvitationTable';
import { InviteDialog } from './InviteDialog';
import { INVITATIONS_PATH, MEMBERS_PATH, type Invitation, type Member } from './members';
import { MemberTable } from './MemberTable';

export function MembersPage() {
  return (
    <main class="page" data-testid="members-page">
      {maySeeRegisters() ? (
        <Members />
      ) : (
        <>
          <PageHeading page="members" />
          <p class="muted">Your role does not show the members of the organisation.</p>
        </>
      )}
    </main>
  );
}

function Members() {
  const members = usePaged<Member>(MEMBERS_PATH, (member) => member.userId);
  const invitations = usePaged<Invitation>(INVITATIONS_PATH, (invitation) => invitation.id);
  return (
    <>
      <Head invitations={invitations} />
      <section aria-label="Members">
        <ListFrame list={members} empty={<p class="muted">No members.</p>}>
          <MemberTable list={members} />
        </ListFrame>
      </section>
      <section class="page-section" aria-labelledby="invitations-title">
        <h2 id="invitations-title">Open invitations</h2>
        <ListFrame list={invitations} empty={<NoInvitations />}>
          <InvitationTable list={invitations} />
        </ListFrame>
      </section>
    </>
  );
}

function Head({ invitations }: { invitations: Paged<Invitation> }) {
  const isInviting = useSignal(false);
  return (
    <div class="page-head">
      <div>
        <PageHeading page="members" />
        <p class="muted">Who may sign in to {session.value?.user.orgName ?? 'the organisation'}.</p>
      </div>
      {mayManageMembers() && (
        <button
          type="button"
          class="button primary"
          data-testid="invite"
          onClick={() => (isInviting.value = true)}
        >
          <UserPlus size={16} />
          Invite a member
        </button>
      )}
      {isInviting.value && (
        <InviteDialog
          onInvited={() => void invitations.load()} // it took the place of an older one to the same address
          onClose={() => (isInviting.value = false)}
        />
      )}
    </div>
  );
}

function NoInvitations() {
  return (
    <p class="muted" data-testid="no-invitations">
      None. Who is invited stands here until the invitation is accepted or runs out.
    </p>
  );
}
