import { count, when } from '../ui/format';
import type { Because, HeardBriefly, HeardState } from './quality';

export const HEARD_LABELS: Record<HeardState, string> = {
  live: 'Live',
  late: 'Late',
  silent: 'Silent',
  parked: 'Parked',
  never: 'Never heard',
};

interface Cause {
  /** A sentence that says what to look at. */
  long: (because: Because) => string;
  /** For a line in a list. */
  short: (because: Because) => string;
}

const fixed = (short: string, long: string): Cause => ({ short: () => short, long: () => long });

const CAUSES: Record<string, Cause> = {
  never_heard: fixed('never heard of', 'Never heard of: its token was not used yet.'),
  no_fix_yet: fixed(
    'no location yet',
    'It is connected, but sent no location yet: GPS off, or no right to it.',
  ),
  token_withdrawn: fixed('token withdrawn', 'Its token was withdrawn.'),
  token_ended: fixed('old token ended', 'Its old token ended, and the new one was not typed in.'),
  app_stopped: fixed('app stopped', 'The app said that it was stopped or lost its connection.'),
  location_off: fixed('location off', 'Location is switched off on the phone.'),
  battery: {
    short: ({ battery }) => `battery ${percent(battery)}`,
    long: ({ battery }) => `Battery ${percent(battery)} when it was last heard of.`,
  },
  clock_ahead: {
    short: () => 'clock ahead',
    long: ({ seconds }) =>
      `Its clock is ${seconds == null ? '' : `${span(seconds)} `}ahead, so its locations are refused as in the future.`,
  },
  too_old: fixed('too old', 'Its locations are refused as too old: a wrong clock, or a very old backlog.'),
  no_gps: fixed('no GPS', 'GPS: its receiver has no fix, it reports 0,0.'),
  refused: {
    short: () => 'refused',
    long: ({ names }) => `Its locations are refused: ${(names ?? []).map(reasonWords).join(', ')}.`,
  },
  poor_accuracy: fixed('poor GPS', 'GPS: the last locations have poor accuracy.'),
  doubtful: {
    short: () => 'doubted',
    long: ({ names }) => `Its locations are doubted: ${(names ?? []).map(flagWords).join(', ')}.`,
  },
  no_locations: fixed('no locations', 'It is heard of, but sends no locations: GPS off, or no right to it.'),
  network: {
    short: ({ seconds }) => `network, ${span(seconds ?? 0)} late`,
    long: ({ seconds }) => `Network: locations arrive ${span(seconds ?? 0)} late.`,
  },
  parked: fixed('parked', 'It stood still when it was last heard of.'),
  no_contact: fixed('no contact', 'No contact: no network, app closed or phone off.'),
};

export function longCause(because: Because): string {
  return CAUSES[because.code]?.long(because) ?? because.detail;
}

export function shortCause(because: Because): string {
  return CAUSES[because.code]?.short(because) ?? humanised(because.code);
}

/** "since 12:04, battery 4 %", "network, 90 s late", "no GPS"; undefined where the state alone says it. */
export function trouble(heard: HeardBriefly | undefined, nowMs: number): string | undefined {
  const cause = heard?.because;
  if (heard?.state === 'late') return cause ? shortCause(cause) : undefined;
  if (heard?.state === 'never') return cause && cause.code !== 'never_heard' ? shortCause(cause) : undefined;
  if (heard?.state !== 'silent' || !heard.silentSince) return undefined;
  const since = `since ${when(heard.silentSince, nowMs)}`;
  return cause ? `${since}, ${shortCause(cause)}` : since;
}

const REASONS: Record<string, string> = {
  bad_coordinates: 'bad coordinates',
  bad_time: 'bad time',
  zero_island: 'no fix (0,0)',
  future: 'in the future',
  too_old: 'too old',
  malformed: 'malformed',
};

const FLAGS: Record<string, string> = {
  speed_jump: 'impossible speed',
  poor_accuracy: 'poor accuracy',
  drift: 'drift while parked',
  mock: 'mocked',
  clock_skew: 'clock corrected',
};

export const reasonWords = (name: string) => REASONS[name] ?? humanised(name);
export const flagWords = (name: string) => FLAGS[name] ?? humanised(name);

/** "1 gap", "2 gaps". */
export function plural(value: number, one: string, many: string = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`;
}

/** A length of time: "90 s", "20 min", "5 h", "3 days". */
export function span(seconds: number): string {
  const whole = Math.round(Math.abs(seconds));
  if (whole < 120) return `${whole} s`;
  if (whole < 7_200) return `${Math.floor(whole / 60)} min`;
  return whole < 172_800 ? `${Math.floor(whole / 3_600)} h` : `${Math.floor(whole / 86_400)} days`;
}

/** "20 min ahead", "2 s behind"; a second or less is nobody's fault. */
export function clockWords(offset: number): string {
  if (Math.abs(offset) <= 1) return 'right';
  return `${span(offset)} ${offset > 0 ? 'ahead' : 'behind'}`;
}

export function percent(value: number | null | undefined): string {
  return value == null ? 'unknown' : `${Math.round(value)} %`;
}

const dayAndMonth = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short', timeZone: 'UTC' });

/** A day of UTC, as the server counts: "Today", "21 Nov". */
export function dayWords(iso: string, nowMs: number): string {
  if (iso === new Date(nowMs).toISOString().slice(0, 10)) return 'Today';
  const ms = Date.parse(`${iso}T00:00:00Z`);
  return Number.isNaN(ms) ? iso : dayAndMonth.format(ms);
}

function humanised(name: string): string {
  return name.replaceAll('_', ' ');
}
