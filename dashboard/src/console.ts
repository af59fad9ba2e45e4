import { computed, effect, signal, untracked } from '@preact/signals';
import { createContext } from 'preact';
import { useContext } from 'preact/hooks';
import { Fleet } from './fleet/fleet';
import { matching, searchWithView, viewFromSearch, type View } from './fleet/filter';
import { Connection } from './realtime/connection';
import { liveness } from './realtime/liveness';
import { endsSession } from './realtime/protocol';
import { lookAgain } from './session/call';
import { mayWatch } from './session/roles';
import { Qualities } from './quality/qualities';
import { renew, sessionEnded } from './session/session';
import { session } from './session/store';
import { TripDetail } from './trip/trip-detail';
import { now } from './ui/clock';

/** Everything behind the signed-in page; lives from sign-in to sign-out. */
export type Console = ReturnType<typeof openConsole>;

export const ConsoleContext = createContext<Console | undefined>(undefined);

export function useConsole(): Console {
  const console = useContext(ConsoleContext);
  if (!console) throw new Error('useConsole() outside of a signed-in page');
  return console;
}

export function openConsole() {
  const fleet = new Fleet();
  const connection = new Connection({
    token: tokenInPlaceOf,
    onCut: () => void lookAgain(),
  });
  const qualities = mayWatch() ? new Qualities() : undefined;
  if (mayWatch()) enterFleet(connection, fleet);
  void lookAgain(); // the session may be an old one, out of the browser's storage

  const view = signal<View>(viewFromSearch(location.search));
  const visible = computed(() => matching(fleet.rows.value, view.value));
  const selected = computed(() => (view.value.vehicleId ? fleet.find(view.value.vehicleId) : undefined));
  const tripId = computed(() => selected.value?.tripId);
  const detail = signal<TripDetail | undefined>(undefined);
  const link = computed(() =>
    liveness({
      nowMs: now.value,
      online: connection.online.value,
      joined: fleet.ready.value,
      downSinceMs: connection.downSinceMs.value,
      lastEventAtMs: connection.lastEventAtMs.value,
      expectsEvents: fleet.isOnTheMove.value,
    }),
  );

  const stops = [
    effect(() =>
      history.replaceState(
        null,
        '',
        location.pathname + searchWithView(location.search, view.value) + location.hash,
      ),
    ),
    effect(() => {
      const token = session.value?.accessToken;
      // Whoever renewed it, this or another tab: the socket goes on under the newest token.
      if (token) connection.useToken(token);
    }),
    effect(() => {
      const id = tripId.value;
      // Untracked: the detail reads its own signals while it opens, and must not open again when they change.
      const opened = untracked(() => (id ? new TripDetail(connection, id, selected.value?.trip) : undefined));
      detail.value = opened;
      return () => opened?.close();
    }),
  ];

  return {
    fleet,
    qualities,
    connection,
    view,
    visible,
    selected,
    detail,
    link,
    change: (part: Partial<View>) => (view.value = { ...view.value, ...part }),
    select: (vehicleId: string | undefined) => (view.value = { ...view.value, vehicleId }),
    close: () => {
      stops.forEach((stop) => stop());
      connection.close();
      fleet.close();
      qualities?.close();
    },
  };
}

function enterFleet(connection: Connection, fleet: Fleet): void {
  connection.joinFleet({
    onSnapshot: ({ trips, positions }) => fleet.reset(trips ?? [], positions ?? []),
    onEvent: (event) => {
      if (event.name === 'fleet:positions') fleet.apply(event.payload.positions);
      else if (event.name === 'trip:event' && event.payload.trip) fleet.applyTrip(event.payload.trip);
    },
    onRefused: ({ code }) => {
      if (endsSession(code)) sessionEnded();
    },
  });
}

/** The socket's token; `refused`: that one is not taken any more, so it goes on with a new one, if there is one to be had. */
async function tokenInPlaceOf(refused?: string): Promise<string | undefined> {
  if (refused !== undefined && (await renew(refused)) === 'ended') sessionEnded();
  return session.value?.accessToken;
}
