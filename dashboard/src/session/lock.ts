import { uuid } from '../ui/ids';

const LEASE_MS = 20_000; // longer than a request may take
const POLL_MS = 50;
const SETTLE_MS = 20;

/** Run `work` while no other tab of this browser runs under the same name. */
export function alone<T>(name: string, work: () => Promise<T>): Promise<T> {
  // Only pages over https (or of this machine) have the Web Locks API.
  if (navigator.locks) return navigator.locks.request(name, work);
  return underLease(name, work);
}

/** The fallback: a lease in the storage that the tabs share; a tab that died holds it for LEASE_MS at most. */
export async function underLease<T>(name: string, work: () => Promise<T>): Promise<T> {
  const mine = uuid();
  const giveUpAtMs = Date.now() + LEASE_MS;
  while (!(await take(name, mine)) && Date.now() < giveUpAtMs) await pause(POLL_MS);
  try {
    return await work();
  } finally {
    if (holder(name) === mine) drop(name);
  }
}

async function take(name: string, mine: string): Promise<boolean> {
  if (holder(name)) return false;
  try {
    localStorage.setItem(name, JSON.stringify([mine, Date.now() + LEASE_MS]));
  } catch {
    return true; // no storage: there is nothing that the tabs share
  }
  await pause(SETTLE_MS); // two may have written at once: the last one has it
  return holder(name) === mine;
}

function holder(name: string): string | undefined {
  try {
    const [owner, untilMs] = JSON.parse(localStorage.getItem(name) ?? '[]') as [string?, number?];
    return untilMs !== undefined && untilMs > Date.now() ? owner : undefined;
  } catch {
    return undefined;
  }
}

function drop(name: string): void {
  try {
    localStorage.removeItem(name);
  } catch {
    // It runs out by itself.
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
