import type { ComponentChildren } from 'preact';
import { Failed, Lines } from './Loading';
import type { Paged } from './paged';

interface Props<T> {
  list: Paged<T>;
  /** Shown instead of the table when there is nothing. */
  empty: ComponentChildren;
  children: ComponentChildren;
}

/** A table in all its states: on its way, failed, empty, there, and more to come. */
export function ListFrame<T>({ list, empty, children }: Props<T>) {
  const state = list.state.value;
  if (state === 'loading') return <Lines count={5} />;
  if (state === 'failed')
    return <Failed detail={list.error.value ?? 'Not available.'} onRetry={() => void list.load()} />;
  if (list.rows.value.length === 0 && !list.hasMore.value) return <>{empty}</>;
  return (
    <>
      {children}
      {list.error.value && <Failed detail={list.error.value} onRetry={() => void list.more()} />}
      {list.hasMore.value && !list.error.value && (
        <button
          type="button"
          class="button more"
          data-testid="show-more"
          aria-disabled={list.isLoadingMore.value}
          onClick={() => void list.more()}
        >
          {list.isLoadingMore.value ? 'Loading…' : 'Show more'}
        </button>
      )}
    </>
  );
}
