import { beforeEach, expect, it, vi } from 'vitest';
import { call, get } from './call';
import { renew, signIn, signOut } from './session';
import { keep, notice, session, SESSION_ENDED } from './store';

const STORAGE_KEY = 'waypost.session';
const user = { id: 'u1', name: 'Dana', orgId: 'o1' };
const fetched = vi.fn<typeof fetch>();
const answer = (status: number, body: object) => new Response(JSON.stringify(body), { status });
const tokens = (name: string) => ({
  accessToken: name,
  refreshToken: `${name}-refresh`,
  expiresIn: 900,
  user,
});

beforeEach(async () => {
  vi.stubGlobal('fetch', fetched.mockReset().mockResolvedValue(new Response(null, { status: 204 })));
  await signOut();
  fetched.mockReset();
});

async function signedIn(): Promise<void> {
  fetched.mockResolvedValueOnce(answer(200, tokens('one')));
  await signIn('dana@example.com', 'secret');
  fetched.mockReset();
}

/** What the `index`-th request was. */
function sent(index: number) {
  const [url, init] = fetched.mock.calls[index] ?? [];
  const headers = init?.headers as Record<string, string> | undefined;
  return {
    url,
    token: headers?.['Authorization'],
    body: JSON.parse(String(init?.body ?? 'null')) as unknown,
  };
}

/** As another tab would leave it, with the event that this tab gets. */
function otherTab(next: object | null): void {
  if (next) localStorage.setItem(STORAGE_KEY, JSON.stringify(next));
  else localStorage.removeItem(STORAGE_KEY);
  dispatchEvent(new StorageEvent('storage', { key: STORAGE_KEY }));
}

it('signs in by e-mail, or by phone without its spaces, and to one of several organisations', async () => {
  fetched.mockImplementation(async () => answer(200, tokens('one')));
  await signIn('dana@example.com', 'secret');
  await signIn('+1 (512) 555-0100', 'secret', 'o2');
  expect(sent(0).body).toEqual({ email: 'dana@example.com', password: 'secret' });
  expect(sent(1).body).toEqual({ phone: '+15125550100', password: 'secret', orgId: 'o2' });
});

it('ends the session on the server too, in a request that outlives the page', async () => {
  await signedIn();
  fetched.mockResolvedValueOnce(new Response(null, { status: 204 }));
  await signOut();
  expect(sent(0)).toMatchObject({ url: '/api/v1/auth/logout', token: 'Bearer one' });
  expect(fetched.mock.calls[0]?.[1]?.keepalive).toBe(true);
  expect(session.value).toBeUndefined();
  expect(localStorage.getItem(STORAGE_KEY)).toBeNull();
});

it('ends a session whose access token has run out by renewing it first', async () => {
  await signedIn();
  fetched
    .mockResolvedValueOnce(answer(401, { code: 'token-expired' }))
    .mockResolvedValueOnce(answer(200, tokens('two')))
    .mockResolvedValueOnce(new Response(null, { status: 204 }));
  await signOut();
  expect(sent(1)).toMatchObject({ url: '/api/v1/auth/refresh', body: { refreshToken: 'one-refresh' } });
  expect(sent(2)).toMatchObject({ url: '/api/v1/auth/logout', token: 'Bearer two' });
  expect(session.value).toBeUndefined();
});

it('forgets the session even when the server cannot be told', async () => {
  await signedIn();
  fetched.mockRejectedValueOnce(new TypeError('network'));
  await signOut();
  expect(session.value).toBeUndefined();
});

it('signs out here when another tab has signed out', async () => {
  await signedIn();
  otherTab(null);
  expect(session.value).toBeUndefined();
  expect(notice.value).toBe(SESSION_ENDED);
});

it('is signed in as whoever signs in in another tab', async () => {
  await signedIn();
  otherTab({ ...tokens('theirs'), user: { id: 'u2', name: 'Tendai' } });
  expect(session.value?.user.name).toBe('Tendai');
});

it('renews a dead token, keeps the new refresh token and repeats the call once', async () => {
  await signedIn();
  fetched
    .mockResolvedValueOnce(answer(401, { code: 'token-expired' }))
    .mockResolvedValueOnce(answer(200, tokens('two')))
    .mockResolvedValueOnce(answer(200, { id: 't1' }));
  await expect(get('/trips/t1')).resolves.toEqual({ id: 't1' });
  expect(sent(2).token).toBe('Bearer two');
  expect(JSON.parse(localStorage.getItem(STORAGE_KEY) ?? '')).toMatchObject({
    refreshToken: 'two-refresh',
    user,
  });
});

it('asks for one renewal only, however many calls were refused', async () => {
  await signedIn();
  fetched.mockImplementation(async (url, init) => {
    if (String(url).endsWith('/auth/refresh')) return answer(200, tokens('two'));
    const { Authorization } = init?.headers as Record<string, string>;
    return Authorization === 'Bearer one' ? answer(401, {}) : answer(200, {});
  });
  await Promise.all([get('/a'), get('/b'), get('/c')]);
  const renewals = fetched.mock.calls.filter(([url]) => String(url).endsWith('/auth/refresh'));
  expect(renewals).toHaveLength(1);
});

it('takes the token that another tab has got meanwhile instead of using an old refresh token', async () => {
  await signedIn();
  localStorage.setItem(STORAGE_KEY, JSON.stringify(tokens('two'))); // no event has come yet
  await expect(renew('one')).resolves.toBe('renewed');
  expect(session.value?.accessToken).toBe('two');
  expect(fetched).not.toHaveBeenCalled();
});

it('goes back to the sign-in, with a word why, when the session cannot be renewed', async () => {
  await signedIn();
  fetched
    .mockResolvedValueOnce(answer(401, { code: 'token-expired' }))
    .mockResolvedValueOnce(answer(401, { code: 'refresh-token-invalid' }));
  await expect(get('/trips/1')).rejects.toMatchObject({ code: 'token-expired' });
  expect(session.value).toBeUndefined();
  expect(notice.value).toBe('Your session has ended. Sign in again.');
});

it.each([
  ['cannot be reached', () => Promise.reject(new TypeError('network'))],
  ['is not ready', () => Promise.resolve(answer(503, { code: 'unavailable' }))],
  ['asks for patience', () => Promise.resolve(answer(429, { code: 'rate-limited' }))],
])('keeps the session when the server %s while it is renewed', async (_why, refresh) => {
  await signedIn();
  fetched.mockResolvedValueOnce(answer(401, { code: 'token-expired' })).mockImplementationOnce(refresh);
  await expect(get('/trips/t1')).rejects.toMatchObject({ code: 'unreachable' });
  expect(session.value?.accessToken).toBe('one');
});

it('does nothing in the name of another person who signed in meanwhile', async () => {
  await signedIn();
  fetched.mockImplementationOnce(async () => {
    localStorage.setItem(STORAGE_KEY, JSON.stringify({ ...tokens('theirs'), user: { id: 'u2' } }));
    return answer(401, { code: 'token-invalid' });
  });
  await expect(call('DELETE', '/members/u3')).rejects.toMatchObject({ code: 'token-invalid' });
  expect(fetched).toHaveBeenCalledTimes(1);
});

it('does not bring a session back that was ended while it was renewed', async () => {
  await signedIn();
  fetched.mockImplementationOnce(async () => {
    localStorage.removeItem(STORAGE_KEY);
    return answer(200, tokens('two'));
  });
  await expect(renew()).resolves.toBe('ended');
  expect(session.value).toBeUndefined();
  expect(localStorage.getItem(STORAGE_KEY)).toBeNull();
});

it('renews before the token runs out', async () => {
  vi.useFakeTimers();
  try {
    fetched.mockResolvedValueOnce(answer(200, tokens('two')));
    keep(tokens('one'));
    await vi.advanceTimersByTimeAsync(719_000);
    expect(fetched).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(2_000);
    expect(session.value?.accessToken).toBe('two');
  } finally {
    vi.useRealTimers();
  }
});
