import { ApiError } from '../api/http';

/** What went wrong, in the words of the person at the form, for the codes that `words` knows; else the server's. */
export function explain(problem: unknown, words: Record<string, string> = {}): string {
  if (!(problem instanceof ApiError)) return 'Something went wrong. Try again.';
  const known = words[problem.code];
  if (known) return known;
  if (problem.code === 'unreachable')
    return 'The server cannot be reached. Check your connection and try again.';
  if (problem.status === 429) return `Too many requests. Wait ${wait(problem.retryAfterS)} and try again.`;
  if (problem.status === 403) return 'Your role does not allow this.';
  if (problem.status >= 500) return 'The server is not ready. Try again in a moment.';
  const details = problem.problem.errors?.map(({ detail }) => sentence(detail));
  return details?.length ? details.join(' ') : problem.message;
}

/** What the server says about the field called one of `names`; undefined when it says nothing of it. */
export function fieldError(problem: unknown, ...names: string[]): string | undefined {
  if (!(problem instanceof ApiError)) return undefined;
  const found = problem.problem.errors?.find(({ field }) => names.includes(field));
  return found && sentence(found.detail);
}

/** A length of time for a person: "40 seconds", "5 minutes". */
export function wait(seconds: number | undefined): string {
  if (seconds === undefined) return 'a minute';
  if (seconds < 90) return seconds === 1 ? '1 second' : `${seconds} seconds`;
  return `${Math.ceil(seconds / 60)} minutes`;
}

export function sentence(text: string): string {
  const whole = text.trim();
  return whole.charAt(0).toUpperCase() + whole.slice(1) + (/[.!?]$/.test(whole) ? '' : '.');
}
