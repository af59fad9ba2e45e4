import { cleanup, fireEvent, render, screen } from '@testing-library/preact';
import { afterEach, expect, it, vi } from 'vitest';
import { notice, session } from './session';
import { SignIn } from './SignIn';

afterEach(() => {
  cleanup();
  notice.value = undefined;
  session.value = undefined;
});

function fill(identity: string, password: string): void {
  fireEvent.input(screen.getByLabelText('Phone or e-mail'), { target: { value: identity } });
  fireEvent.input(screen.getByLabelText('Password'), { target: { value: password } });
  fireEvent.submit(screen.getByTestId('sign-in-form'));
}

it('asks for what is missing before it asks the server', async () => {
  render(<SignIn />);
  fill('dana@example.com', '');
  expect((await screen.findByTestId('sign-in-error')).textContent).toBe('Enter your password.');
});

it('says in plain words that the password was wrong', async () => {
  vi.stubGlobal('fetch', async () => new Response('{"code":"bad-credentials"}', { status: 401 }));
  render(<SignIn />);
  fill('dana@example.com', 'wrong');
  expect((await screen.findByTestId('sign-in-error')).textContent).toContain('do not match');
});

it('says that the session ended', () => {
  notice.value = 'Your session ended. Sign in again.';
  render(<SignIn />);
  expect(screen.getByTestId('sign-in-error').textContent).toBe('Your session ended. Sign in again.');
});
