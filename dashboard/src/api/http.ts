import type { Problem } from './types';
import { noteServerTime } from '../ui/clock';

const BASE = '/api/v1';
const TIMEOUT_MS = 15_000;

export type Method = 'GET' | 'POST' | 'PATCH' | 'DELETE';

/** The server's refusal, or the lack of any answer (code `unreachable`, status 0). */
export class ApiError extends Error {
  readonly status: number;
  readonly code: string;
  readonly problem: Problem;
  /** When the same request may succeed, by the server's word. */
  readonly retryAfterS: number | undefined;

  constructor(status: number, problem: Problem, retryAfterS?: number) {
    super(problem.detail ?? problem.title ?? 'The server could not answer.');
    this.status = status;
    this.code = problem.code ?? 'unknown';
    this.problem = problem;
    this.retryAfterS = retryAfterS;
  }
}

export interface Call {
  token?: string | undefined;
  body?: unknown;
  signal?: AbortSignal | undefined;
  /** Makes a POST that creates safe to send again: the same key makes one thing. */
  idempotencyKey?: string | undefined;
  /** The ETag that a change expects to find; else 412. */
  ifMatch?: string | undefined;
  /** Goes out even when the page is closed meanwhile. */
  keepalive?: boolean | undefined;
}

export interface Answer<T> {
  value: T;
  etag: string | undefined;
}

/** Call the API. Throws ApiError, or an AbortError once `signal` was aborted. An answer without a body is undefined. */
export async function request<T>(method: Method, path: string, call: Call = {}): Promise<T> {
  return (await exchange<T>(method, path, call)).value;
}

/** `request`, with the ETag of what was answered. */
export async function exchange<T>(method: Method, path: string, call: Call = {}): Promise<Answer<T>> {
  const response = await send(BASE + path, {
    method,
    headers: headersOf(call),
    cache: 'no-store',
    keepalive: call.keepalive ?? false,
    signal: withTimeout(call.signal),
    ...(call.body === undefined ? {} : { body: JSON.stringify(call.body) }),
  });
  noteServerTime(response.headers.get('Date'));
  if (!response.ok) throw new ApiError(response.status, await problemOf(response), retryAfterS(response));
  const value = response.status === 204 ? undefined : await response.json();
  return { value: value as T, etag: response.headers.get('ETag') ?? undefined };
}

function headersOf({ token, body, idempotencyKey, ifMatch }: Call): Record<string, string> {
  return {
    Accept: 'application/json',
    ...(token && { Authorization: `Bearer ${token}` }),
    ...(body !== undefined && { 'Content-Type': 'application/json' }),
    ...(idempotencyKey && { 'Idempotency-Key': idempotencyKey }),
    ...(ifMatch && { 'If-Match': ifMatch }),
  };
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

/** Seconds; a proxy may write a date instead. */
function retryAfterS(response: Response): number | undefined {
  const text = response.headers.get('Retry-After');
  if (!text) return undefined;
  const seconds = /^\d+$/.test(text) ? Number(text) : (Date.parse(text) - Date.now()) / 1_000;
  return Number.isNaN(seconds) ? undefined : Math.max(0, Math.ceil(seconds));
}

function withTimeout(signal: AbortSignal | undefined): AbortSignal {
  const timeout = AbortSignal.timeout(TIMEOUT_MS);
  return signal ? AbortSignal.any([signal, timeout]) : timeout;
}
