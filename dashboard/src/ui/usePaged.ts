import { useEffect, useMemo } from 'preact/hooks';
import { Paged } from './paged';

/** A `Paged` for as long as the component shows this `path`. */
export function usePaged<T>(path: string, idOf: (row: T) => string): Paged<T> {
  const list = useMemo(() => new Paged<T>(path, idOf), [path]);
  useEffect(() => () => list.close(), [list]);
  return list;
}
