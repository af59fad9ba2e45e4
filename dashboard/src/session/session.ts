import { signal } from '@preact/signals';
import { ApiError, request, type Call } from '../api/http';
import type { Maybe, User } from '../api/types';
import { endsSession } from '../realtime/protocol';

interface Tokens {
  accessToken: string;
  refreshToken?: Maybe<string>;
  /** Seconds. */
  expiresIn?: Maybe<number>;
}

export interface Session extends Tokens {
  user: User;
}

export const SESSION_ENDED = 'Your session ended. Sign in again.';
const STORAGE_KEY = 'waypost.session';

/** Who is signed in in this tab; undefined shows the sign-in page. */
export const session = signal<Session | undefined>(restore());
/** Why the sign-in page is shown, if there is something to say. */
export const notice = signal<string | undefined>(undefined);

let refreshTimer: ReturnType<typeof setTimeout> | undefined;
let refreshing: Promise<boolean> | undefined;

export async function signIn(identity: string, password: string): Promise<void> {
  const name = identity.trim();
  const who = name.includes('@') ? { email: name } : { phone: name.replace(/[\s()-]/g, '') };
  keep(await request<Session>('POST', '/auth/login', { body: { ...who, password } }));
  notice.value = undefined;
}

export function signOut(): void {
  const refreshToken = session.value?.refreshToken;
  const token = session.value?.accessToken;
  // Best effort: the tab forgets the session whatever the server answers.
  if (refreshToken) request('POST', '/auth/logout', { token, body: { refreshToken } }).catch(() => undefined);
  forget();
  notice.value = undefined;
}

/** The server says that the session is over. */
export function sessionEnded(): void {
  if (!session.value) return;
  forget();
  notice.value = SESSION_ENDED;
}

/** A GET as the person who is signed in; a dead session leads to the sign-in page. */
export async function get<T>(path: string, call: Pick<Call, 'signal'> = {}): Promise<T> {
  const token = session.value?.accessToken;
  try {
    return await request<T>('GET', path, { ...call, token });
  } catch (error) {
    if (!isDead(error)) throw error;
    if (session.value?.accessToken === token && !(await refresh())) {
      sessionEnded();
      throw error;
    }
    return request<T>('GET', path, { ...call, token: session.value?.accessToken });
  }
}

/** Get a new access token, if the server gave the means. False: the session cannot be continued. */
export function refresh(): Promise<boolean> {
  refreshing ??= renew().finally(() => (refreshing = undefined));
  return refreshing;
}

async function renew(): Promise<boolean> {
  const before = session.value;
  if (!before?.refreshToken) return false;
  try {
    const tokens = await request<Tokens>('POST', '/auth/refresh', {
      body: { refreshToken: before.refreshToken },
    });
    if (session.value === before) keep({ ...before, ...tokens });
    return session.value !== undefined;
  } catch (error) {
    // Unreachable is no verdict: the token may still be good when the server is back.
    return error instanceof ApiError && error.status === 0;
  }
}

function isDead(error: unknown): boolean {
  return error instanceof ApiError && (error.status === 401 || endsSession(error.code));
}

function keep(next: Session): void {
  session.value = next;
  try {
    sessionStorage.setItem(STORAGE_KEY, JSON.stringify(next));
  } catch {
    // Without storage the session lasts as long as the page.
  }
  planRefresh(next);
}

function forget(): void {
  clearTimeout(refreshTimer);
  session.value = undefined;
  try {
    sessionStorage.removeItem(STORAGE_KEY);
  } catch {
    // Nothing was stored then.
  }
}

function planRefresh(of: Session): void {
  clearTimeout(refreshTimer);
  if (of.refreshToken && of.expiresIn) refreshTimer = setTimeout(() => void refresh(), of.expiresIn * 800);
}

function restore(): Session | undefined {
  try {
    const stored = JSON.parse(sessionStorage.getItem(STORAGE_KEY) ?? 'null') as Session | null;
    return stored?.accessToken ? stored : undefined;
  } catch {
    return undefined;
  }
}
