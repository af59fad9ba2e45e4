import { ApiError, exchange, type Answer, type Call, type Method } from '../api/http';
import type { Maybe, User } from '../api/types';
import { isDead, renew, sessionEnded } from './session';
import { isSamePerson, keepUser, session } from './store';

export type SignedCall = Omit<Call, 'token'>;

/**
 * Call the API as the person who is signed in.
 *
 * A token that the server no longer takes is renewed once and the call repeated (a 401 says that nothing was done); a
 * session that cannot be renewed leads to the sign-in page.
 */
export async function callTagged<T>(
  method: Method,
  path: string,
  options: SignedCall = {},
): Promise<Answer<T>> {
  const asker = session.value;
  try {
    return await exchange<T>(method, path, { ...options, token: asker?.accessToken });
  } catch (error) {
    if (!isDead(error)) throw error;
    const outcome = await renew(asker?.accessToken);
    if (outcome === 'unknown')
      throw new ApiError(0, { code: 'unreachable', detail: 'The server cannot be reached.' });
    if (outcome === 'ended') sessionEnded();
    // Another tab may have signed in as somebody else: what this person wished is not theirs to do.
    if (!session.value || !isSamePerson(session.value, asker)) throw error;
  }
  return again(method, path, options);
}

async function again<T>(method: Method, path: string, options: SignedCall): Promise<Answer<T>> {
  try {
    return await exchange<T>(method, path, { ...options, token: session.value?.accessToken });
  } catch (error) {
    if (isDead(error)) sessionEnded();
    throw error;
  }
}

export async function call<T>(method: Method, path: string, options: SignedCall = {}): Promise<T> {
  return (await callTagged<T>(method, path, options)).value;
}

/** Who am I now? Finds out that the session is over, or that the role is another one. */
export async function lookAgain(): Promise<void> {
  try {
    const { user } = await get<{ user?: Maybe<User> }>('/me');
    if (user) keepUser(user);
  } catch {
    // A dead session has been dealt with; a server that is away tells nothing.
  }
}

export function get<T>(path: string, options: SignedCall = {}): Promise<T> {
  return call<T>('GET', path, options);
}
