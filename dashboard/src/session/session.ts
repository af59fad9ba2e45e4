import { effect } from '@preact/signals';
import { ApiError, request } from '../api/http';
import { alone } from './lock';
import { follow, forget, keep, newest, notice, session, SESSION_ENDED } from './store';
import type { Session, SignedIn } from './store';

const RENEWAL_LOCK = 'waypost.renewal';
const RENEW_AGAIN_MS = 5_000;
// A tab sees what another one has stored a moment later, not at once: our turn lasts until it has got there.
const STORED_MS = 100;

/** What became of asking for another access token. `unknown`: the server gave no verdict; it may still be good. */
export type Renewal = 'renewed' | 'ended' | 'unknown';

let renewing: Promise<Renewal> | undefined;

/** `orgId` picks one of several organisations. */
export async function signIn(identity: string, password: string, orgId?: string): Promise<void> {
  const body = { ...addressOf(identity), password, ...(orgId && { orgId }) };
  keep(await request<SignedIn>('POST', '/auth/login', { body }));
}

/** A phone number or an e-mail address, by how it looks. */
export function addressOf(identity: string): { email: string } | { phone: string } {
  const name = identity.trim();
  return name.includes('@') ? { email: name } : { phone: name.replace(/[\s()-]/g, '') };
}

/** Sign out in every tab. The browser forgets the session whatever the server answers. */
export function signOut(): Promise<void> {
  const leaving = session.value;
  forget();
  notice.value = undefined;
  return leaving ? endOnServer(leaving).catch(() => undefined) : Promise.resolve();
}

async function endOnServer({ accessToken, refreshToken }: Session): Promise<void> {
  const logout = (token: string) =>
    request('POST', '/auth/logout', { token, body: {}, keepalive: true }) as Promise<void>;
  try {
    await logout(accessToken);
  } catch (error) {
    if (!refreshToken || !isDead(error)) throw error;
    // The access token had run out; the session behind it has not.
    const body = { refreshToken };
    await logout((await request<SignedIn>('POST', '/auth/refresh', { body, keepalive: true })).accessToken);
  }
}

/** The server says that the session is over. */
export function sessionEnded(): void {
  if (!session.value) return;
  forget();
  notice.value = SESSION_ENDED;
}

/** Get another access token in place of `refused`: one request for all tabs and all who ask at once. */
export function renew(refused: string | undefined = session.value?.accessToken): Promise<Renewal> {
  renewing ??= alone(RENEWAL_LOCK, () => exchangeToken(refused)).finally(() => (renewing = undefined));
  return renewing;
}

async function exchangeToken(refused: string | undefined): Promise<Renewal> {
  follow();
  const before = session.value;
  if (!before) return 'ended';
  if (before.accessToken !== refused) return 'renewed'; // by another tab, while we waited for our turn
  if (!before.refreshToken) return 'ended';
  try {
    const body = { refreshToken: before.refreshToken };
    const answer = await request<SignedIn>('POST', '/auth/refresh', { body });
    if (newest()?.accessToken === refused) {
      keep({ ...before, ...answer });
      await new Promise((resolve) => setTimeout(resolve, STORED_MS));
    } else follow(); // somebody signed out, or in as another person, meanwhile
    return session.value ? 'renewed' : 'ended';
  } catch (error) {
    return isDead(error) ? 'ended' : 'unknown';
  }
}

/** Only a 401 is a verdict on a token: a server that is away or overloaded gives none. */
export function isDead(error: unknown): boolean {
  return error instanceof ApiError && error.status === 401;
}

// A timer for whatever session is there: signed in here, restored, or renewed by another tab.
effect(() => {
  const renewAtMs = session.value?.refreshToken ? session.value.renewAtMs : undefined;
  if (!renewAtMs) return undefined;
  let timer = setTimeout(keepUp, Math.max(0, renewAtMs - Date.now()));
  async function keepUp(): Promise<void> {
    const outcome = await renew();
    if (outcome === 'ended') sessionEnded();
    if (outcome === 'unknown') timer = setTimeout(keepUp, RENEW_AGAIN_MS);
  }
  return () => clearTimeout(timer);
});
