import { signal } from '@preact/signals';
import type { Maybe, User } from '../api/types';

/** What the server answers to a sign-in and to a refresh. */
export interface SignedIn {
  accessToken: string;
  refreshToken?: Maybe<string>;
  /** Seconds. */
  expiresIn?: Maybe<number>;
  user: User;
}

export interface Session extends SignedIn {
  /** By this browser's clock: when to ask for the next access token. */
  renewAtMs?: Maybe<number>;
}

export const SESSION_ENDED = 'Your session has ended. Sign in again.';
const STORAGE_KEY = 'waypost.session';
/** Part of an access token's life after which the next one is asked for. */
const RENEW_AFTER = 0.8;

/** Who is signed in in this browser; undefined shows the sign-in page. */
export const session = signal<Session | undefined>(read());
/** Why the sign-in page is shown, if there is something to say. */
export const notice = signal<string | undefined>(undefined);

let isShared = true;

/**
 * Keep a session, for every tab of this browser.
 *
 * A refresh token is good once: were each tab to keep a copy, a copied or restored tab would use an old one, which the
 * server must take for theft. So there is one copy, and whoever renews it looks here first.
 */
export function keep(answer: SignedIn): void {
  const { expiresIn } = answer;
  const renewAtMs = expiresIn ? Date.now() + expiresIn * 1_000 * RENEW_AFTER : undefined;
  const next = { ...answer, renewAtMs };
  session.value = next;
  notice.value = undefined;
  isShared = write(JSON.stringify(next));
}

/** What the server says of the person now: the role may have changed since the sign-in. */
export function keepUser(user: User): void {
  const known = newest();
  if (!known || known.user.id !== user.id || JSON.stringify(known.user) === JSON.stringify(user)) return;
  session.value = { ...known, user };
  isShared = write(JSON.stringify(session.value));
}

export function forget(): void {
  session.value = undefined;
  write(null);
}

/** The session as any tab has left it. Without storage it is this page's own. */
export function newest(): Session | undefined {
  return isShared ? read() : session.value;
}

/** The same person in the same organisation. */
export function isSamePerson(one: Session, other: Session | undefined): boolean {
  return one.user.id === other?.user.id && one.user.orgId === other.user.orgId;
}

/** Follow what another tab did: it renewed the session, signed in as somebody else, or signed out. */
export function follow(): void {
  const next = newest();
  if (JSON.stringify(next) === JSON.stringify(session.value)) return;
  notice.value = next ? undefined : SESSION_ENDED;
  session.value = next;
}

addEventListener('storage', (event) => {
  if (event.key === STORAGE_KEY || event.key === null) follow();
});
// A page that was put aside (back-forward cache, frozen tab) has heard no event.
addEventListener('pageshow', (event) => {
  if (event.persisted) follow();
});
document.addEventListener('visibilitychange', () => {
  if (!document.hidden) follow();
});

function read(): Session | undefined {
  try {
    const stored = JSON.parse(localStorage.getItem(STORAGE_KEY) ?? 'null') as Session | null;
    return stored?.accessToken && stored.user ? stored : undefined;
  } catch {
    return undefined;
  }
}

function write(text: string | null): boolean {
  try {
    if (text === null) localStorage.removeItem(STORAGE_KEY);
    else localStorage.setItem(STORAGE_KEY, text);
    return true;
  } catch {
    return false; // without storage the session lasts as long as the page
  }
}
