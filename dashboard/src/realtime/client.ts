import { io, type ManagerOptions, type Socket, type SocketOptions } from 'socket.io-client';
import { Commands, type Answer } from './commands';
import { Gate } from './joining';
import { Membership, type MembershipSpec } from './membership';
import { NewestOfFleet, NewestOfTrip } from './newest';
import { OwnRooms } from './own';
import {
  asPlaced,
  asRoomEvent,
  endsSession,
  roomKey,
  type Ack,
  type FleetJoined,
  type Joined,
  type Refusal,
  type RoomEvent,
  type TripJoined,
} from './protocol';
import type { Location } from '../api/types';

/**
 * `WaypostClient`: the official socket.io client, and what a client of Waypost must do beside it (docs/clients.md).
 *
 *     const client = new WaypostClient({ token: (refused) => session.token(refused) });
 *     const leave = client.joinFleet({ onSnapshot, onEvent, onRefused });
 *     const answer = await client.send('tracking:ping', batch);
 *
 * It keeps the client rule in every room (room.ts), shows no event twice and no vehicle going back (newest.ts), joins and
 * sends again after every reconnect, renews its token when the server asks for it, and leaves a server that is about to
 * stop. To take it elsewhere, copy this folder but for connection.ts and liveness.ts, and with it `api/types.ts` and
 * `ui/ids.ts`.
 */
export interface ClientOptions {
  /** Where the server is; left out in a page that comes from it. */
  url?: string;
  /**
   * The newest token. `refused`: the server does not take that one any more, or not for long, so get another. Undefined:
   * there is none, and the client stays away until `connect()`. A rejection says nothing: it asks again later.
   */
  token: (refused?: string) => Promise<string | undefined> | string | undefined;
  /** `waiting`: no connection, but there will be one; `ended`: there is no token for one. */
  onState?: (state: ClientState) => void;
  /** The server ended the connection; `why` if it said so. The client comes back by itself. */
  onCut?: (why: Refusal | undefined) => void;
  /** The server did not let us in. The client tries again, with another token if it was that. */
  onRefused?: (why: Refusal) => void;
  /** An event or a snapshot of a room came. */
  onHeard?: () => void;
  /** Read what you show of the events of `on()`: at first, and when some were missed that cannot be told any more. */
  onStale?: () => void;
  /** Options of socket.io, such as `transports`; for msgpack `path: '/socket.io/msgpack/'` and its `parser`. */
  socket?: Partial<ManagerOptions & SocketOptions>;
}

export type ClientState = 'waiting' | 'online' | 'ended';
export type RoomHandlers<A extends Joined> = Pick<
  MembershipSpec<A>,
  'onSnapshot' | 'onEvent' | 'onRefused' | 'onStep'
>;
export interface TripHandlers extends RoomHandlers<TripJoined> {
  /** Where the trip is, after each snapshot and each event that moved it; undefined: not known. */
  onPosition?: (position: Location | undefined) => void;
}

const REFUSED_WAIT_MS = 5_000;
/** Refused for good: whoever runs the server may change that, but not soon. */
const DENIED_WAIT_MS = 60_000;
const RENEWED_WAIT_MS = 1_000;
/** After the server cut the connection: at most this, spread. */
const CUT_WAIT_MS = 1_000;
/** When the server says that it stops, but not when to leave. */
const DRAIN_WAIT_MS = 5_000;

export class WaypostClient {
  readonly socket: Socket;
  readonly #options: ClientOptions;
  readonly #members = new Map<string, Membership<Joined>>();
  readonly #gate = new Gate();
  readonly #commands: Commands;
  readonly #own: OwnRooms;
  readonly #handlers = new Map<string, Set<(payload: unknown) => void>>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** What the server was last told. */
  #token: string | undefined;
  /** What the server said before it ends the connection. */
  #farewell: Refusal | undefined;
  #isClosed = false;

  constructor(options: ClientOptions) {
    this.#options = options;
    const given: Partial<ManagerOptions & SocketOptions> = {
      path: '/socket.io/',
      transports: ['websocket', 'polling'],
      tryAllTransports: true,
      reconnectionDelay: 500,
      reconnectionDelayMax: 8_000,
      randomizationFactor: 0.5,
      ...options.socket,
      auth: (give) => void this.#credentials().then(give),
    };
    this.socket = options.url === undefined ? io(given) : io(options.url, given);
    this.#commands = new Commands(this.socket);
    this.#own = new OwnRooms(this.socket, this.#gate, {
      onEvent: (event) => this.#tell(event.name, event.payload),
      onStale: () => options.onStale?.(),
    });
    this.#listen();
  }

  /** Be in the room of the fleet until the result is called. A newer call for the same room replaces this one. */
  joinFleet(handlers: RoomHandlers<FleetJoined>): () => void {
    const newest = new NewestOfFleet();
    return this.#enter<FleetJoined>('fleet', {
      ...handlers,
      join: 'fleet:join',
      params: {},
      onSnapshot: (ack) => {
        newest.reset(ack.positions ?? []);
        handlers.onSnapshot(ack);
      },
      onEvent: (event) => handlers.onEvent(withNews(event, newest)),
    });
  }

  /** Be in the room of a trip until the result is called. A newer call for the same trip replaces this one. */
  joinTrip(tripId: string, handlers: TripHandlers): () => void {
    const newest = new NewestOfTrip<Location>();
    const leave = this.#enter<TripJoined>(tripId, {
      ...handlers,
      join: 'trip:join',
      params: { tripId },
      onSnapshot: (ack) => {
        newest.reset(ack.position);
        handlers.onSnapshot(ack);
        handlers.onPosition?.(newest.position);
      },
      onEvent: (event) => {
        handlers.onEvent(event);
        if (event.name !== 'trip:location') return;
        newest.apply(event.payload.locations, event.payload.withdrawn ?? []);
        handlers.onPosition?.(newest.position);
      },
    });
    return () => {
      if (leave() && this.socket.connected) this.socket.emit('trip:leave', { tripId });
    };
  }

  /** Hear an event that needs no joining, such as `job:progress`, each `eventId` once. The result stops that. */
  on(name: string, handler: (payload: unknown) => void): () => void {
    if (this.#handlers.size === 0 && this.socket.connected) this.#own.join();
    const handlers = this.#handlers.get(name) ?? new Set();
    this.#handlers.set(name, handlers.add(handler));
    return () => handlers.delete(handler);
  }

  /** Send a command until it is answered, over however many connections that takes (commands.ts). */
  send(event: string, data: object): Promise<Answer> {
    return this.#commands.send(event, data);
  }

  /** Go on under a newer token; a connection under an old one is cut when that runs out. */
  useToken(token: string): void {
    if (!this.socket.connected || token === this.#token) return;
    this.#token = token;
    this.socket.emit('auth:refresh', { token }, (ack?: Ack<{ ok: true }>) => {
      // Of somebody else, or of other rights: this connection cannot become that.
      if (ack && !ack.ok && ack.error.code === 'another-principal') this.#moveIn(0);
    });
  }

  /** Come back, after the state was `ended`. */
  connect(): void {
    this.#connectIn(0);
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    for (const member of this.#members.values()) member.lost();
    this.#members.clear();
    this.#own.lost();
    this.#commands.close();
    this.socket.removeAllListeners();
    this.socket.offAny();
    this.socket.disconnect();
  }

  /** The result leaves, and says whether that was still to be done. */
  #enter<A extends Joined>(key: string, spec: MembershipSpec<A>): () => boolean {
    const heard = (ack: A) => {
      this.#options.onHeard?.();
      spec.onSnapshot(ack);
    };
    const membership = new Membership<A>(this.socket, { ...spec, onSnapshot: heard }, this.#gate);
    const member = membership as unknown as Membership<Joined>;
    this.#members.get(key)?.lost();
    this.#members.set(key, member);
    if (this.socket.connected) member.join();
    return () => {
      member.lost();
      return this.#members.get(key) === member && this.#members.delete(key);
    };
  }

  #listen(): void {
    this.socket.on('connect', () => this.#connected());
    this.socket.on('disconnect', (reason) => this.#disconnected(reason));
    this.socket.on('connect_error', (error) => this.#refused(error));
    this.socket.onAny((name: string, payload: unknown) => {
      const fields = typeof payload === 'object' && payload !== null ? payload : {};
      if (!this.#isToldToUs(name, fields)) this.#hear(name, fields);
    });
  }

  #connected(): void {
    clearTimeout(this.#timer);
    this.#farewell = undefined;
    this.#options.onState?.('online');
    for (const member of this.#members.values()) member.join();
    if (this.#handlers.size > 0) this.#own.join();
    this.#commands.resume();
  }

  #disconnected(reason: Socket.DisconnectReason): void {
    const why = this.#farewell;
    this.#farewell = undefined;
    this.#down();
    if (why || reason === 'io server disconnect') this.#options.onCut?.(why);
    if (this.socket.active || reason === 'io client disconnect') return; // socket.io, or who left, comes back
    if (why && endsSession(why.code)) void this.#renew();
    else this.#connectIn(CUT_WAIT_MS * Math.random());
  }

  #refused(error: Error & { data?: Partial<Refusal> }): void {
    this.#down();
    if (this.socket.active) return; // nobody there, or no answer: socket.io tries again by itself
    const why = { ...error.data, code: error.data?.code ?? error.message };
    this.#options.onRefused?.(why);
    if (endsSession(why.code)) return void this.#renew();
    const waitMs = why.retry === false ? DENIED_WAIT_MS : REFUSED_WAIT_MS;
    this.#connectIn(waitMs * (0.5 + Math.random()));
  }

  /** The events by which the server speaks of the connection itself, and of what it may see. */
  #isToldToUs(name: string, told: object): boolean {
    if (name === 'auth:expiring') void this.#refresh();
    else if (name === 'trip:gone') this.#gone((told as { tripId?: string }).tripId ?? '');
    else if (name === 'error') this.#farewell = { code: 'unknown', ...told };
    else if (name === 'server:drain')
      this.#moveIn((told as { reconnectInMs?: number }).reconnectInMs ?? DRAIN_WAIT_MS);
    else return false;
    return true;
  }

  /** We may not see this trip any more, and are out of its room. */
  #gone(tripId: string): void {
    const member = this.#members.get(tripId);
    this.#members.delete(tripId);
    member?.gone();
  }

  #hear(name: string, payload: object): void {
    const placed = asPlaced(name, payload);
    if (!placed) return this.#tell(name, payload);
    const event = asRoomEvent(placed);
    if (!event) return this.#own.receive(placed);
    this.#options.onHeard?.();
    this.#members.get(roomKey(placed) ?? '')?.receive(event);
  }

  #tell(name: string, payload: object): void {
    for (const handler of this.#handlers.get(name) ?? []) handler(payload);
  }

  async #credentials(): Promise<{ token: string | undefined }> {
    this.#token = await this.#ask().catch(() => undefined);
    return { token: this.#token };
  }

  async #ask(refused?: string): Promise<string | undefined> {
    return refused === undefined ? this.#options.token() : this.#options.token(refused);
  }

  /** The server does not take our token: come back with another. The pause is for one that is refused again and again. */
  async #renew(): Promise<void> {
    try {
      if ((await this.#ask(this.#token ?? '')) === undefined) return this.#options.onState?.('ended');
      this.#connectIn(RENEWED_WAIT_MS);
    } catch {
      this.#connectIn(REFUSED_WAIT_MS);
    }
  }

  /** Our token runs out: go on under another, without leaving. If there is none, the server cuts us in time. */
  async #refresh(): Promise<void> {
    const token = await this.#ask(this.#token ?? '').catch(() => undefined);
    if (token !== undefined) this.useToken(token);
  }

  #connectIn(waitMs: number): void {
    if (this.#isClosed) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.socket.connect(), waitMs);
  }

  /** This server stops soon: stay for as long as it said, then go to whichever answers. */
  #moveIn(waitMs: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.socket.disconnect();
      this.socket.connect();
    }, waitMs);
  }

  #down(): void {
    if (!this.#isClosed) this.#options.onState?.('waiting');
    for (const member of this.#members.values()) member.lost();
    this.#own.lost();
    this.#commands.lost();
  }
}

/** The event with those positions only that are not older than what was shown. */
function withNews(event: RoomEvent, newest: NewestOfFleet): RoomEvent {
  if (event.name !== 'fleet:positions') return event;
  return { ...event, payload: { ...event.payload, positions: newest.news(event.payload.positions) } };
}
