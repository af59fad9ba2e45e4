import type { Problem } from './types';
import { noteServerTime } from '../ui/clock';

const BASE = '/api/v1';
const TIMEOUT_MS = 15_000;

/** The server's refusal, or the lack of any answer (code `unreachable`, status 0). */
export class ApiError extends Error {
  readonly status: number;
  readonly code: string;
  readonly problem: Problem;

  constructor(status: number, problem: Problem) {
    super(problem.detail ?? problem.title ?? 'The server could not answer.');
    this.status = status;
    this.code = problem.code ?? 'unknown';
    this.problem = problem;
  }
}

export interface Call {
  token?: string | undefined;
  body?: unknown;
  signal?: AbortSignal | undefined;
}

/** Call the API. Throws ApiError, or an AbortError once `signal` was aborted. */
export async function request<T>(method: 'GET' | 'POST', path: string, call: Call = {}): Promise<T> {
  const headers: Record<string, string> = { Accept: 'application/json' };
  if (call.token) headers['Authorization'] = `Bearer ${call.token}`;
  if (call.body !== undefined) headers['Content-Type'] = 'application/json';
  const response = await send(BASE + path, {
    method,
    headers,
    cache: 'no-store',
    signal: withTimeout(call.signal),
    ...(call.body === undefined ? {} : { body: JSON.stringify(call.body) }),
  });
  noteServerTime(response.headers.get('Date'));
  if (!response.ok) throw new ApiError(response.status, await problemOf(response));
  return (await response.json()) as T;
}

async function send(url: string, init: RequestInit): Promise<Response> {
  try {
    return await fetch(url, init);
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') throw error;
    throw new ApiError(0, { code: 'unreachable', detail: 'The server cannot be reached.' });
  }
}

async function problemOf(response: Response): Promise<Problem> {
  try {
    return (await response.json()) as Problem;
  } catch {
    return { title: response.statusText || `HTTP ${response.status}` }; // a proxy's own error page
  }
}

function withTimeout(signal: AbortSignal | undefined): AbortSignal {
  const timeout = AbortSignal.timeout(TIMEOUT_MS);
  return signal ? AbortSignal.any([signal, timeout]) : timeout;
}
