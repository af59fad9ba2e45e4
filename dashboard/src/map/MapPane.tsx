import { useSignal } from '@preact/signals';
import { effect } from '@preact/signals';
import { Maximize } from 'lucide-preact';
import { useEffect, useRef } from 'preact/hooks';
import { useConsole, type Console } from '../console';
import { PageHeading } from '../nav/heading';
import { Legend } from './Legend';
import type { LiveMap } from './live-map';

type Stage = 'loading' | 'ready' | 'failed';

/** The map's place in the page. The map's code is a chunk of its own, loaded from here. */
export function MapPane() {
  const console = useConsole();
  const container = useRef<HTMLDivElement>(null);
  const stage = useSignal<Stage>('loading');
  const map = useRef<LiveMap>();

  useEffect(() => {
    let isGone = false;
    const open = async (element: HTMLElement) => {
      const { openLiveMap } = await import('./live-map');
      const opened = await openLiveMap(element, console, () => {
        stage.value = 'ready';
        markReady();
      });
      if (isGone) opened.close();
      else map.current = opened;
    };
    if (container.current)
      open(container.current).catch(() => {
        stage.value = 'failed';
        readyWithFleet(console);
      });
    return () => {
      isGone = true;
      map.current?.close();
    };
  }, []);

  return (
    <main class="map-pane" data-stage={stage.value}>
      <PageHeading page="map" hidden />
      <div class="map-canvas" ref={container} />
      {stage.value === 'loading' && (
        <p class="map-note" role="status">
          Loading the map…
        </p>
      )}
      {stage.value === 'failed' && (
        <p class="map-note" role="status">
          The map could not be shown here (it needs WebGL). The list has every vehicle.
        </p>
      )}
      {stage.value !== 'failed' && (
        <>
          <button
            type="button"
            class="icon-button map-fit"
            aria-label="Show the whole fleet"
            title="Show the whole fleet"
            onClick={() => map.current?.showAll()}
          >
            <Maximize size={17} />
          </button>
          <Legend />
        </>
      )}
    </main>
  );
}

/** For tests and screenshots: the map is drawn and the first snapshot is on it. */
function markReady(): void {
  document.body.dataset['ready'] = '1';
}

function readyWithFleet(console: Console): void {
  const stop = effect(() => {
    if (console.fleet.ready.value) markReady();
  });
  if (console.fleet.ready.value) stop();
}
