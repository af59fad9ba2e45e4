import { signal } from '@preact/signals';
import { nowMs } from '../ui/clock';
import { WaypostClient, type ClientOptions, type ClientState } from './client';

export type ConnectionHooks = Pick<ClientOptions, 'token' | 'onCut'>;

/** The page's one client, with what the page shows of it as signals. */
export class Connection extends WaypostClient {
  readonly online = signal(false);
  /** Since when there is no socket; undefined while there is one. */
  readonly downSinceMs = signal<number | undefined>(nowMs());
  /** The last event or snapshot. */
  readonly lastEventAtMs = signal<number | undefined>(undefined);

  constructor(hooks: ConnectionHooks) {
    super({
      ...hooks,
      onState: (state) => this.#show(state),
      onHeard: () => (this.lastEventAtMs.value = nowMs()),
    });
  }

  #show(state: ClientState): void {
    this.online.value = state === 'online';
    this.downSinceMs.value = state === 'online' ? undefined : (this.downSinceMs.value ?? nowMs());
  }
}
