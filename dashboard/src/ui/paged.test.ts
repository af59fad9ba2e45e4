import { beforeEach, expect, it, vi } from 'vitest';
import { Paged } from './paged';

interface Row {
  id: string;
  name: string;
}

const fetched = vi.fn<typeof fetch>();
const page = (data: Row[], nextCursor?: string) => new Response(JSON.stringify({ data, nextCursor }));
const row = (id: string, name = id) => ({ id, name });

beforeEach(() => void vi.stubGlobal('fetch', fetched.mockReset()));

async function opened(first: Response): Promise<Paged<Row>> {
  fetched.mockResolvedValueOnce(first);
  const list = new Paged<Row>('/things?state=active', ({ id }) => id);
  await vi.waitFor(() => expect(list.state.value).not.toBe('loading'));
  return list;
}

it('goes on from the cursor, and shows a row once that came twice', async () => {
  const list = await opened(page([row('a'), row('b')], 'next one'));
  fetched.mockResolvedValueOnce(page([row('b'), row('c')]));
  await list.more();
  expect(list.rows.value.map(({ id }) => id)).toEqual(['a', 'b', 'c']);
  expect(list.hasMore.value).toBe(false);
  expect(String(fetched.mock.calls[1]?.[0])).toBe('/api/v1/things?state=active&limit=50&cursor=next+one');
});

it('keeps what it has, and says why, when the next page does not come', async () => {
  const list = await opened(page([row('a')], 'next'));
  fetched.mockRejectedValueOnce(new TypeError('network'));
  await list.more();
  expect(list.rows.value).toHaveLength(1);
  expect(list.error.value).toContain('cannot be reached');
  fetched.mockResolvedValueOnce(page([row('b')]));
  await list.more();
  expect(list.rows.value).toHaveLength(2);
});

it('says that nothing came at all, and may be asked again', async () => {
  const list = await opened(new Response('{}', { status: 503 }));
  expect(list.state.value).toBe('failed');
  fetched.mockResolvedValueOnce(page([row('a')]));
  await list.load();
  expect(list.rows.value).toHaveLength(1);
});

it('puts a changed row in its place, a new one on top, and drops one', async () => {
  const list = await opened(page([row('a'), row('b')]));
  list.put(row('b', 'changed'));
  list.put(row('c'));
  list.drop('a');
  expect(list.rows.value).toEqual([row('c'), row('b', 'changed')]);
});
