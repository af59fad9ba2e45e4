import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { Qualities } from './qualities';
import type { HeardBriefly } from './quality';

const fetched = vi.fn<typeof fetch>();
const page = (data: Partial<HeardBriefly>[], nextCursor?: string) =>
  new Response(JSON.stringify({ data, nextCursor }));
const heard = (deviceId: string, more: Partial<HeardBriefly> = {}): Partial<HeardBriefly> => ({
  deviceId,
  vehicleId: `truck of ${deviceId}`,
  state: 'live',
  ...more,
});
let opened: Qualities | undefined;

beforeEach(() => {
  vi.useFakeTimers();
  vi.stubGlobal('fetch', fetched.mockReset());
});

afterEach(() => opened?.close());

async function open(): Promise<Qualities> {
  opened = new Qualities();
  await vi.advanceTimersByTimeAsync(0);
  return opened;
}

it('reads every page, of each device only what the lists show', async () => {
  fetched.mockResolvedValueOnce(page([heard('a')], 'next')).mockResolvedValueOnce(page([heard('b')]));
  expect([...(await open()).byDevice.value.keys()]).toEqual(['a', 'b']);
  expect(String(fetched.mock.calls[1]?.[0])).toContain('cursor=next');
  expect(String(fetched.mock.calls[0]?.[0])).toContain('fields=deviceId');
});

it('takes of two phones in a truck the one that was heard of last', async () => {
  const [early, late] = ['2026-11-22T11:00:00Z', '2026-11-22T12:00:00Z'];
  fetched.mockResolvedValueOnce(
    page([
      heard('never', { vehicleId: 't' }),
      heard('late', { vehicleId: 't', heardAt: late }),
      heard('early', { vehicleId: 't', heardAt: early }),
    ]),
  );
  expect((await open()).byVehicle.value.get('t')?.deviceId).toBe('late');
});

it('asks again while somebody looks, and keeps what it knew when no answer comes', async () => {
  fetched.mockResolvedValueOnce(page([heard('a')])).mockRejectedValueOnce(new TypeError('network'));
  const qualities = await open();
  await vi.advanceTimersByTimeAsync(20_000);
  expect(fetched).toHaveBeenCalledTimes(2);
  expect(qualities.byDevice.value.get('a')?.state).toBe('live');
  fetched.mockResolvedValueOnce(page([heard('a', { state: 'silent' })]));
  await vi.advanceTimersByTimeAsync(20_000);
  expect(qualities.byDevice.value.get('a')?.state).toBe('silent');
});

it('asks no more once it is closed', async () => {
  fetched.mockResolvedValue(page([]));
  (await open()).close();
  await vi.advanceTimersByTimeAsync(60_000);
  expect(fetched).toHaveBeenCalledTimes(1);
});
