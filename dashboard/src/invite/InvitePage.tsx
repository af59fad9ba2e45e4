import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { ApiError } from '../api/http';
import { replaceRoute } from '../nav/route';
import { EntryCard } from '../session/EntryCard';
import { roleName } from '../session/roles';
import { keep, session } from '../session/store';
import { explain } from '../ui/explain';
import { Failed, Lines } from '../ui/Loading';
import { AcceptForm } from './AcceptForm';
import { look, type Look } from './invitation';

type State =
  | { kind: 'loading' }
  | { kind: 'gone' }
  | { kind: 'failed'; detail: string }
  | { kind: 'open'; invitation: Look };

/** Where an invitation's link leads. The address is left as soon as it is accepted: the link works once. */
export function InvitePage({ token }: { token: string }) {
  const state = useSignal<State>({ kind: 'loading' });
  const open = async () => {
    state.value = { kind: 'loading' };
    try {
      state.value = { kind: 'open', invitation: await look(token) };
    } catch (error) {
      const isGone = error instanceof ApiError && error.status === 404;
      state.value = isGone ? { kind: 'gone' } : { kind: 'failed', detail: explain(error) };
    }
  };
  useEffect(() => void open(), [token]);
  const now = state.value;
  if (now.kind === 'loading')
    return (
      <EntryCard title="Invitation">
        <Lines count={3} />
      </EntryCard>
    );
  if (now.kind === 'failed')
    return (
      <EntryCard title="Invitation">
        <Failed detail={now.detail} onRetry={() => void open()} />
      </EntryCard>
    );
  if (now.kind === 'gone') return <Gone />;
  return <Open token={token} invitation={now.invitation} onGone={() => (state.value = { kind: 'gone' })} />;
}

function Gone() {
  return (
    <EntryCard title="This invitation is over">
      <p class="muted" data-testid="invitation-gone">
        It was used already, has run out or was withdrawn. Ask whoever invited you for a new one.
      </p>
      <a class="button entry-way-on" href="#/">
        {session.value ? 'Go to the live map' : 'Sign in'}
      </a>
    </EntryCard>
  );
}

interface OpenProps {
  token: string;
  invitation: Look;
  onGone: () => void;
}

function Open({ token, invitation, onGone }: OpenProps) {
  const other = session.value?.user;
  return (
    <EntryCard title={`Join ${invitation.orgName}`}>
      <p class="muted">
        You are invited as <b class="entry-role">{roleName(invitation.role).toLowerCase()}</b>.
      </p>
      {other && (
        <p class="entry-note">
          {other.name ?? 'Somebody'} is signed in in this browser; who accepts takes their place.
        </p>
      )}
      <AcceptForm
        token={token}
        name={invitation.name}
        onGone={onGone}
        onAccepted={(answer) => {
          keep(answer);
          replaceRoute('#/');
        }}
      />
    </EntryCard>
  );
}
