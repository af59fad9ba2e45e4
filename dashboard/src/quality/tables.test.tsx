import { cleanup, render, screen } from '@testing-library/preact';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { now } from '../ui/clock';
import { DayTable } from './DayTable';
import type { QualityDay, RejectedRecord } from './quality';
import { RejectionTable } from './RejectionTable';

const fetched = vi.fn<typeof fetch>();

beforeEach(() => {
  now.value = Date.parse('2026-11-22T12:00:00Z');
  vi.stubGlobal('fetch', fetched.mockReset());
});
afterEach(cleanup);

const day = (iso: string, more: Partial<QualityDay> = {}): QualityDay => ({
  day: iso,
  batches: 1,
  accepted: 10,
  duplicates: 0,
  late: 0,
  flagged: 0,
  rejected: 0,
  longestDelay: 0,
  flags: {},
  reasons: {},
  gaps: 0,
  longestGap: 0,
  ...more,
});
const rejection = (more: Partial<RejectedRecord> = {}): RejectedRecord => ({
  id: 'r',
  receivedAt: '2026-11-22T11:00:00Z',
  source: 'osmand',
  reason: 'future',
  detail: 'more than 300 s ahead',
  record: '{"lat": 1}',
  more: 0,
  ...more,
});

it('shows the days of which something came, with one and with many', () => {
  render(
    <DayTable
      days={[
        day('2026-11-22', { duplicates: 1, gaps: 1, longestGap: 1_500, flagged: 3, flags: { mock: 3 } }),
        day('2026-11-21', { batches: 0, accepted: 0 }),
        day('2026-11-20', { duplicates: 2, rejected: 3, reasons: { future: 1, malformed: 2 } }),
      ]}
    />,
  );
  const [first, second, ...others] = screen.getAllByTestId('day-row').map((row) => row.textContent);
  expect(others).toEqual([]);
  expect(first).toContain('Today');
  expect(first).toContain('1 duplicate3mocked');
  expect(first).toContain('1longest 25 min');
  expect(second).toContain('2 duplicates');
  expect(second).toContain('32 malformed1 in the future');
});

it('says so where nothing came', () => {
  render(<DayTable days={[day('2026-11-22', { batches: 0, accepted: 0 })]} />);
  expect(screen.getByTestId('no-days').textContent).toContain('in the last 1 day.');
});

it('shows what was sent as text, and how many more there were', async () => {
  const nasty = '<img src=x onerror=alert(1)>';
  const data = [
    rejection({ id: 'a', record: nasty, more: 1 }),
    rejection({ id: 'b', record: '', more: 49, reason: 'wrong_key' }),
  ];
  fetched.mockResolvedValueOnce(new Response(JSON.stringify({ data })));
  render(<RejectionTable deviceId="d" />);
  const [first, second] = (await screen.findAllByTestId('rejection-row')).map((row) => row.textContent);
  expect(first).toContain(nasty);
  expect(document.querySelector('img')).toBeNull();
  expect(first).toContain('and 1 other in the same batch');
  expect(second).toContain('wrong key');
  expect(second).toContain('and 49 others');
  expect(second).toContain('not kept');
});

it('says so where nothing was refused', async () => {
  fetched.mockResolvedValueOnce(new Response(JSON.stringify({ data: [] })));
  render(<RejectionTable deviceId="d" />);
  expect(await screen.findByTestId('no-rejections')).toBeTruthy();
});
