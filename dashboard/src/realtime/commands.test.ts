import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { Socket } from 'socket.io-client';
import { Commands } from './commands';
import { FakeSocket } from './fake-socket';

let socket: FakeSocket;
let commands: Commands;
const batch = { stream: 's', locations: [{ n: 1 }] };

beforeEach(() => {
  vi.useFakeTimers();
  socket = new FakeSocket();
  commands = new Commands(socket as unknown as Socket);
  socket.connected = true;
});

afterEach(() => vi.useRealTimers());

it('gives the answer, also one that is a no for good', async () => {
  const answer = commands.send('message:send', { text: 'hello' });
  socket.sent[0]?.answer(null, { ok: false, error: { code: 'denied', retry: false } });
  expect(await answer).toEqual({ ok: false, error: { code: 'denied', retry: false } });
});

it('sends the very same again after a lost connection, with the id that it had', async () => {
  const answer = commands.send('message:send', { text: 'hello' });
  const lost = socket.sent[0]?.answer;
  commands.lost();
  lost?.(new Error('socket has been disconnected'));
  commands.resume();
  expect(socket.sent[1]?.data).toEqual(socket.sent[0]?.data);
  expect(socket.sent[0]?.data['id']).toMatch(
    /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
  );
  socket.sent[1]?.answer(null, { ok: true });
  expect(await answer).toEqual({ ok: true });
});

it('leaves a batch of fixes as it is: its own numbers make a repeat harmless', () => {
  void commands.send('tracking:ping', batch);
  expect(socket.sent[0]?.data).toBe(batch);
});

it('sends one after another, in their order', async () => {
  const order: string[] = [];
  for (const text of ['a', 'b']) void commands.send('message:send', { text }).then(() => order.push(text));
  expect(socket.sent).toHaveLength(1);
  socket.sent[0]?.answer(null, { ok: true });
  socket.sent[1]?.answer(null, { ok: true });
  await vi.advanceTimersByTimeAsync(0);
  expect(order).toEqual(['a', 'b']);
});

it('tries again after a time-out, and after a refusal that allows it no sooner than that says', () => {
  void commands.send('tracking:ping', batch);
  socket.sent[0]?.answer(new Error('operation has timed out'));
  vi.advanceTimersByTime(3_000);
  expect(socket.sent).toHaveLength(2);
  socket.sent[1]?.answer(null, { ok: false, error: { code: 'device-too-fast', retry: true, retryAfter: 7 } });
  vi.advanceTimersByTime(6_900);
  expect(socket.sent).toHaveLength(2);
  vi.advanceTimersByTime(100);
  expect(socket.sent).toHaveLength(3);
});

it('waits for a connection, and says no to more than a thousand that wait', async () => {
  socket.connected = false;
  for (let n = 0; n < 1_000; n += 1) void commands.send('message:send', { text: `${n}` });
  expect(socket.sent).toHaveLength(0);
  expect(await commands.send('message:send', { text: 'one more' })).toMatchObject({
    ok: false,
    error: { code: 'too-many' },
  });
});

it('tells who waits when it is closed', async () => {
  const answer = commands.send('message:send', { text: 'hello' });
  commands.close();
  expect(await answer).toMatchObject({ ok: false, error: { code: 'closed' } });
});
