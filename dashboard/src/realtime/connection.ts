import { signal } from '@preact/signals';
import { io, type Socket } from 'socket.io-client';
import { nowMs } from '../ui/clock';
import type { Membership } from './membership';
import { asRoomEvent, endsSession, type Joined, type RoomEvent } from './protocol';

const REFUSED_RETRY_MS = 5_000;
/** After the server cut the connection: at most this, spread. */
const CUT_RETRY_MS = 1_000;

export interface ConnectionHooks {
  token: () => string | undefined;
  /** The server wants another token than this one. */
  onTokenRefused: (token: string | undefined) => void;
  onTokenExpiring: () => void;
  /** The server ended this connection: the session is over, or its person is something else by now. */
  onCut: () => void;
}

/** The one socket of the page and the rooms that it is in. */
export class Connection {
  readonly online = signal(false);
  /** Since when there is no socket; undefined while there is one. */
  readonly downSinceMs = signal<number | undefined>(nowMs());
  /** The last event or snapshot. */
  readonly lastEventAtMs = signal<number | undefined>(undefined);

  readonly socket: Socket;
  readonly #hooks: ConnectionHooks;
  readonly #members = new Map<string, Membership<Joined>>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isClosed = false;
  /** What the server was last told. */
  #token: string | undefined;

  constructor(hooks: ConnectionHooks) {
    this.#hooks = hooks;
    this.socket = io({
      path: '/socket.io/',
      transports: ['websocket', 'polling'],
      tryAllTransports: true,
      auth: (give) => give({ token: (this.#token = hooks.token()) }),
      reconnectionDelay: 500,
      reconnectionDelayMax: 8_000,
      randomizationFactor: 0.5,
    });
    this.#listen();
  }

  /** Enter a room now, and again whenever the socket is back. `key` is `fleet` or the trip's id. */
  enter(key: string, membership: Membership<Joined>): void {
    this.#members.set(key, membership);
    if (this.socket.connected) membership.join();
  }

  leave(key: string, leaveEvent: string, params: object): void {
    this.#members.get(key)?.lost();
    this.#members.delete(key);
    if (this.socket.connected) this.socket.emit(leaveEvent, params);
  }

  /** Go on under a newer token; a connection under an old one is cut when that runs out. */
  useToken(token: string): void {
    if (!this.socket.connected || token === this.#token) return;
    this.#token = token;
    this.socket.emit('auth:refresh', { token });
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    for (const member of this.#members.values()) member.lost();
    this.#members.clear();
    this.socket.removeAllListeners();
    this.socket.disconnect();
  }

  connectIn(waitMs: number): void {
    if (this.#isClosed) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.socket.connect(), waitMs);
  }

  heard(): void {
    this.lastEventAtMs.value = nowMs();
  }

  #listen(): void {
    this.socket.on('connect', () => {
      this.online.value = true;
      this.downSinceMs.value = undefined;
      for (const member of this.#members.values()) member.join();
    });
    this.socket.on('disconnect', (reason) => {
      this.#down();
      if (reason !== 'io server disconnect') return;
      // socket.io does not come back by itself then.
      this.connectIn(CUT_RETRY_MS * Math.random());
      this.#hooks.onCut();
    });
    this.socket.on('connect_error', (error) => {
      this.#down();
      const data = (error as Error & { data?: { code?: string } }).data;
      if (endsSession(data?.code ?? error.message)) return this.#hooks.onTokenRefused(this.#token);
      if (!this.socket.active) this.connectIn(REFUSED_RETRY_MS);
    });
    this.socket.on('server:drain', (drain?: { reconnectInMs?: number }) => {
      this.socket.disconnect();
      this.connectIn(drain?.reconnectInMs ?? REFUSED_RETRY_MS);
    });
    this.socket.on('auth:expiring', () => this.#hooks.onTokenExpiring());
    for (const name of ['fleet:positions', 'trip:location', 'trip:event']) {
      this.socket.on(name, (payload: unknown) => this.#receive(asRoomEvent(payload, name)));
    }
  }

  #receive(event: RoomEvent | undefined): void {
    if (!event) return;
    this.heard();
    this.#members.get(roomKey(event))?.receive(event);
  }

  #down(): void {
    this.online.value = false;
    this.downSinceMs.value ??= nowMs();
    for (const member of this.#members.values()) member.lost();
  }
}

function roomKey(event: RoomEvent): string {
  if (event.name === 'fleet:positions') return 'fleet';
  if (event.name === 'trip:event' && event.payload.room !== 'trip') return 'fleet';
  return event.payload.tripId;
}
