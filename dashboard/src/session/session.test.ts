import { beforeEach, expect, it, vi } from 'vitest';
import { get, notice, session, SESSION_ENDED, signIn, signOut } from './session';

const answer = (status: number, body: object) => new Response(JSON.stringify(body), { status });
const user = { id: 'u1', name: 'Dana' };
const fetched = vi.fn<typeof fetch>();

beforeEach(() => {
  vi.stubGlobal('fetch', fetched.mockReset());
  signOut();
});

async function signedIn(more: object = {}): Promise<void> {
  fetched.mockResolvedValueOnce(answer(200, { accessToken: 'one', expiresIn: 900, user, ...more }));
  await signIn('dana@example.com', 'secret');
}

const sentBody = (call: number) => JSON.parse(String(fetched.mock.calls[call]?.[1]?.body)) as unknown;

it('signs in by e-mail, or by phone without its spaces', async () => {
  await signedIn();
  expect(sentBody(0)).toEqual({ email: 'dana@example.com', password: 'secret' });
  fetched.mockResolvedValueOnce(answer(200, { accessToken: 'one', user }));
  await signIn('+1 (512) 555-0100', 'secret');
  expect(sentBody(1)).toEqual({ phone: '+15125550100', password: 'secret' });
});

it('keeps the session for this tab only, and forgets it on sign-out', async () => {
  await signedIn();
  expect(sessionStorage.getItem('waypost.session')).toContain('"one"');
  signOut();
  expect(sessionStorage.getItem('waypost.session')).toBeNull();
  expect(session.value).toBeUndefined();
});

it('goes back to sign-in, with a word why, when the token is dead', async () => {
  await signedIn();
  fetched.mockResolvedValueOnce(answer(401, { code: 'token-expired' }));
  await expect(get('/trips/1')).rejects.toMatchObject({ code: 'token-expired' });
  expect(session.value).toBeUndefined();
  expect(notice.value).toBe(SESSION_ENDED);
});

it('renews a dead token where the server gave the means, and repeats the call', async () => {
  await signedIn({ refreshToken: 'r1' });
  fetched
    .mockResolvedValueOnce(answer(401, { code: 'token-expired' }))
    .mockResolvedValueOnce(answer(200, { accessToken: 'two', refreshToken: 'r2' }))
    .mockResolvedValueOnce(answer(200, { id: 't1' }));
  await expect(get('/trips/t1')).resolves.toEqual({ id: 't1' });
  expect(session.value).toMatchObject({ accessToken: 'two', refreshToken: 'r2', user });
});

it('keeps the session when the server cannot be reached', async () => {
  await signedIn();
  fetched.mockRejectedValueOnce(new TypeError('network'));
  await expect(get('/trips/t1')).rejects.toMatchObject({ code: 'unreachable' });
  expect(session.value?.accessToken).toBe('one');
});
