/** Which rows of a long list of equal rows are worth having in the page. */
export interface Window {
  first: number;
  /** Exclusive. */
  end: number;
}

const OVERSCAN_ROWS = 6;

export function windowOf(rowCount: number, rowPx: number, scrollPx: number, heightPx: number): Window {
  const first = Math.max(0, Math.floor(scrollPx / rowPx) - OVERSCAN_ROWS);
  const end = Math.min(rowCount, Math.ceil((scrollPx + heightPx) / rowPx) + OVERSCAN_ROWS);
  return { first: Math.min(first, end), end };
}

/** Where to scroll so that the row is wholly seen; `scrollPx` itself if it is. */
export function scrollToShow(index: number, rowPx: number, scrollPx: number, heightPx: number): number {
  const topPx = index * rowPx;
  if (topPx < scrollPx) return topPx;
  return Math.max(scrollPx, topPx + rowPx - heightPx);
}
