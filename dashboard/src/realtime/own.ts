import type { Socket } from 'socket.io-client';
import { Gate, Joining } from './joining';
import { Seen } from './newest';
import { missedOf, type OwnJoined, type PlacedEvent } from './protocol';
import { Room } from './room';

type Kind = 'person' | 'staff';

/** The events of a person's own room; all others that nobody joins for are the staff's. */
const OF_PERSON: ReadonlySet<string> = new Set(['job:progress']);

export interface OwnSpec {
  onEvent: (event: PlacedEvent) => void;
  /** Events were missed that cannot be told any more; also at the beginning, before the first one. */
  onStale: () => void;
}

/**
 * The rooms that a connection is in from the beginning: one's own, and the staff's. They have no snapshot: what is shown
 * of them is read over HTTP, at first and whenever something of them was missed for good.
 */
export class OwnRooms {
  readonly #spec: OwnSpec;
  readonly #rooms = { person: new Room<PlacedEvent>(), staff: new Room<PlacedEvent>() };
  readonly #seen = new Seen();
  readonly #joining: Joining<OwnJoined>;

  constructor(socket: Socket, gate: Gate, spec: OwnSpec) {
    this.#spec = spec;
    this.#joining = new Joining<OwnJoined>(socket, gate, {
      event: 'own:join',
      params: () => ({ since: { person: this.#rooms.person.begin(), staff: this.#rooms.staff.begin() } }),
      onAck: (ack) => this.#accept(ack),
      onRefused: () => undefined,
    });
  }

  join(): void {
    this.#joining.now();
  }

  receive(event: PlacedEvent): void {
    const kind = OF_PERSON.has(event.name) ? 'person' : 'staff';
    this.#apply(kind, this.#rooms[kind].receive(event));
  }

  lost(): void {
    this.#joining.stop();
    for (const room of Object.values(this.#rooms)) room.lost();
  }

  #accept({ rooms }: OwnJoined): void {
    if (Object.values(rooms).some((room) => room && !room.recovered)) this.#spec.onStale();
    for (const kind of ['person', 'staff'] as const) {
      const ack = rooms[kind];
      if (ack) this.#apply(kind, this.#rooms[kind].joined(ack, missedOf(ack)));
    }
  }

  #apply(kind: Kind, events: PlacedEvent[]): void {
    for (const event of events)
      if (!event.eventId || !this.#seen.isRepeat(event.eventId)) this.#spec.onEvent(event);
    if (this.#rooms[kind].needsJoin) this.#joining.soon();
  }
}
