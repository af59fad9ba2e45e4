import { beforeEach, expect, it, vi } from 'vitest';
import * as renewal from '../session/session';
import { session } from '../session/store';
import { loadStreets } from './streets';

const answers = vi.fn<typeof fetch>();
const load = () => loadStreets({ url: 'streets://12/2401/2253' }, new AbortController());

beforeEach(() => {
  answers.mockReset();
  vi.stubGlobal('fetch', answers);
  session.value = { accessToken: 'first' } as typeof session.value;
});

it('asks for the tile with the token of who is signed in', async () => {
  answers.mockResolvedValue(new Response(new Uint8Array([1, 2])));
  const tile = await load();
  expect(new Uint8Array(tile.data)).toEqual(new Uint8Array([1, 2]));
  const [path, init] = answers.mock.calls[0] ?? [];
  expect(path).toBe('/api/v1/tracking/streets/12/2401/2253');
  expect(init?.headers).toEqual({ Authorization: 'Bearer first' });
});

it('renews a token that the server no longer takes, once', async () => {
  vi.spyOn(renewal, 'renew').mockImplementation(async () => {
    session.value = { accessToken: 'second' } as typeof session.value;
    return 'renewed';
  });
  answers.mockImplementation(async (_path, init) =>
    JSON.stringify(init?.headers).includes('second')
      ? new Response('tile')
      : new Response('', { status: 401 }),
  );
  await load();
  expect(answers).toHaveBeenCalledTimes(2);
});

it('is an error, and no empty tile, when the server has none to give', async () => {
  answers.mockResolvedValue(new Response('', { status: 503 }));
  await expect(load()).rejects.toThrow('503');
});
