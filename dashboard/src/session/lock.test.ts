import { beforeEach, expect, it } from 'vitest';
import { underLease } from './lock';

beforeEach(() => localStorage.clear());

it('lets one work at a time where the browser has no locks', async () => {
  let working = 0;
  let most = 0;
  const work = async () => {
    working += 1;
    most = Math.max(most, working);
    await new Promise((resolve) => setTimeout(resolve, 30));
    working -= 1;
  };
  await Promise.all([underLease('l', work), underLease('l', work), underLease('l', work)]);
  expect(most).toBe(1);
  expect(localStorage.getItem('l')).toBeNull();
});

it('gives the lease back when the work fails', async () => {
  const failing = () => Promise.reject(new Error('no'));
  await expect(underLease('l', failing)).rejects.toThrow('no');
  await expect(underLease('l', async () => 'done')).resolves.toBe('done');
});

it('does not wait for a tab that died with the lease', async () => {
  localStorage.setItem('l', JSON.stringify(['dead tab', Date.now() - 1]));
  await expect(underLease('l', async () => 'done')).resolves.toBe('done');
});
