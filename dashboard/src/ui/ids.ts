/** A random UUID (version 4), also where `crypto.randomUUID` is missing: on pages that did not come by https. */
export function uuid(): string {
  if (typeof crypto.randomUUID === 'function') return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

/**
 * Keys for `Idempotency-Key`: the same wish keeps its key, so that a second click or a retry after a time-out makes no
 * second thing; another wish gets another key.
 */
export function wishKeys(): (wish: unknown) => string {
  let last: string | undefined;
  let key = '';
  return (wish) => {
    const text = JSON.stringify(wish);
    if (text !== last) key = uuid();
    last = text;
    return key;
  };
}
