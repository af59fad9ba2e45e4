import { useSignal } from '@preact/signals';
import { useEffect, useLayoutEffect, useRef } from 'preact/hooks';
import { useConsole } from '../console';
import type { Row } from '../fleet/vehicle';
import { VehicleRow } from './VehicleRow';
import { scrollToShow, windowOf } from './windowing';

/** As in list.css. */
const ROW_PX = 66;

/** A thousand rows, some twenty of them in the page. Arrow keys move between rows, also beyond the window. */
export function RowWindow({ rows }: { rows: readonly Row[] }) {
  const { view, select } = useConsole();
  const box = useRef<HTMLDivElement>(null);
  const scrollPx = useSignal(0);
  const heightPx = useSignal(800);
  const focusNext = useRef<string>();
  const selectedId = view.value.vehicleId;

  useLayoutEffect(() => {
    const element = box.current;
    if (!element) return undefined;
    const observer = new ResizeObserver(() => (heightPx.value = element.clientHeight));
    observer.observe(element);
    return () => observer.disconnect();
  }, []);

  const show = (index: number) => {
    const element = box.current;
    if (element && index >= 0)
      element.scrollTop = scrollToShow(index, ROW_PX, element.scrollTop, element.clientHeight);
  };
  // A vehicle chosen on the map comes into view here.
  useEffect(() => show(rows.findIndex((row) => row.id === selectedId)), [selectedId]);

  useEffect(() => {
    if (!focusNext.current) return;
    const row = box.current?.querySelector<HTMLElement>(
      `[data-vehicle-id="${CSS.escape(focusNext.current)}"]`,
    );
    if (row) focusNext.current = undefined;
    row?.focus({ preventScroll: true });
  });

  const onKeyDown = (event: KeyboardEvent) => {
    const step = { ArrowDown: 1, ArrowUp: -1, PageDown: 8, PageUp: -8 }[event.key];
    const from = (event.target as HTMLElement).dataset['vehicleId'];
    if (step === undefined || from === undefined) return;
    event.preventDefault();
    const index = rows.findIndex((row) => row.id === from) + step;
    const target = Math.max(0, Math.min(rows.length - 1, index));
    show(target);
    scrollPx.value = box.current?.scrollTop ?? 0;
    const id = rows[target]?.id;
    focusNext.current = id;
    box.current?.querySelector<HTMLElement>(`[data-vehicle-id="${CSS.escape(id ?? '')}"]`)?.focus();
  };

  const { first, end } = windowOf(rows.length, ROW_PX, scrollPx.value, heightPx.value);
  return (
    <div
      class="rows"
      ref={box}
      onScroll={(event) => (scrollPx.value = event.currentTarget.scrollTop)}
      onKeyDown={onKeyDown}
    >
      <ul class="rows-track" data-testid="vehicle-list" style={{ height: `${rows.length * ROW_PX}px` }}>
        {rows.slice(first, end).map((row, index) => (
          <VehicleRow
            key={row.id}
            row={row}
            topPx={(first + index) * ROW_PX}
            place={first + index + 1}
            total={rows.length}
            isSelected={row.id === selectedId}
            onSelect={select}
          />
        ))}
      </ul>
    </div>
  );
}
