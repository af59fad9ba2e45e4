import { cleanup, fireEvent, render, screen } from '@testing-library/preact';
import { afterEach, expect, it, vi } from 'vitest';
import { forget, notice, session } from './store';
import { SignIn } from './SignIn';

afterEach(() => {
  cleanup();
  forget();
  notice.value = undefined;
});

function fill(identity: string, password: string): void {
  fireEvent.input(screen.getByLabelText('Phone or e-mail'), { target: { value: identity } });
  fireEvent.input(screen.getByLabelText('Password'), { target: { value: password } });
  fireEvent.submit(screen.getByTestId('sign-in-form'));
}

function serverSays(status: number, body: object, headers: Record<string, string> = {}) {
  const fetched = vi.fn<typeof fetch>(async () => new Response(JSON.stringify(body), { status, headers }));
  vi.stubGlobal('fetch', fetched);
  return fetched;
}

it('asks for what is missing before it asks the server', async () => {
  render(<SignIn />);
  fill('dana@example.com', '');
  expect((await screen.findByTestId('sign-in-error')).textContent).toBe('Enter your password.');
});

it('says in plain words that the password was wrong', async () => {
  serverSays(401, { code: 'bad-credentials' });
  render(<SignIn />);
  fill('dana@example.com', 'wrong');
  expect((await screen.findByTestId('sign-in-error')).textContent).toContain('do not match');
});

it('says that the session ended', () => {
  notice.value = 'Your session has ended. Sign in again.';
  render(<SignIn />);
  expect(screen.getByTestId('sign-in-error').textContent).toBe('Your session has ended. Sign in again.');
});

it('says how long to wait after too many attempts, and asks no more until then', async () => {
  const fetched = serverSays(429, { code: 'rate-limited' }, { 'Retry-After': '42' });
  render(<SignIn />);
  fill('dana@example.com', 'wrong');
  expect((await screen.findByTestId('sign-in-error')).textContent).toContain('42 seconds');
  expect(screen.getByRole<HTMLButtonElement>('button', { name: /Try again in 4\d seconds/ }).disabled).toBe(
    true,
  );
  fill('dana@example.com', 'again');
  expect(fetched).toHaveBeenCalledTimes(1);
});

it('lets who belongs to several organisations choose one', async () => {
  const organisations = [
    { orgId: 'o1', name: 'Harare Haulage' },
    { orgId: 'o2', name: 'Bulawayo Bricks' },
  ];
  const fetched = serverSays(403, { code: 'choose-organisation', organisations });
  render(<SignIn />);
  fill('dana@example.com', 'secret');
  const choice = await screen.findByRole('button', { name: 'Bulawayo Bricks' });
  fetched.mockResolvedValueOnce(
    new Response(JSON.stringify({ accessToken: 'one', user: { id: 'u1', orgId: 'o2' } })),
  );
  fireEvent.click(choice);
  await vi.waitFor(() => expect(session.value?.user.orgId).toBe('o2'));
  expect(JSON.parse(String(fetched.mock.calls[1]?.[1]?.body))).toMatchObject({
    orgId: 'o2',
    password: 'secret',
  });
});
