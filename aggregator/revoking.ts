/**
 * The aggregator's list of revocations: the newest that the owner has signed, from whoever hands it in.
 *
 * It is on disk, and its keys are out of the round, before anybody hears that it was taken. An aggregator that stands
 * by takes it too, so that it does not go on with somebody whom the owner has sent away.
 */
import { checkLater, openRevocations } from '../protocol/revocations.ts';
import type { OpenedRevocations } from '../protocol/revocations.ts';
import type { OpenedManifest } from '../protocol/manifest.ts';
import { withoutRevoked } from '../protocol/round.ts';
import type { AggregatorEvent } from './events.ts';
import type { Ledger } from './ledger.ts';
import type { Rounds } from './rounds.ts';

export interface RevokingComponents {
  readonly federation: OpenedManifest;
  readonly ledger: Pick<Ledger, 'commit' | 'revocations' | 'state'>;
  /** The rounds, once this aggregator runs them. */
  readonly rounds: () => Pick<Rounds, 'feed'> | undefined;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly onEvent: (event: AggregatorEvent) => void;
}

export class Revoking {
  readonly #components: RevokingComponents;
  #newest: OpenedRevocations | null;

  constructor(components: RevokingComponents) {
    this.#components = components;
    const stored = components.ledger.revocations();
    this.#newest = stored === undefined ? null : openRevocations(stored, components.federation);
  }

  get newest(): OpenedRevocations | null {
    return this.#newest;
  }

  /**
   * Takes a list, unless it is the one that is here. Returns the newest.
   *
   * @throws REVOCATIONS_STALE for an older one, or one that leaves somebody out; what `openRevocations` throws
   */
  take(bytes: Uint8Array): OpenedRevocations {
    const { federation, ledger, rounds, now, onEvent } = this.#components;
    const list = openRevocations(bytes, federation);
    if (list.hash === this.#newest?.hash) return this.#newest;
    checkLater(this.#newest, list);
    const { version, participants, invites } = list.content;
    const running = rounds();
    if (running) {
      running.feed({ type: 'revoked', at: now(), list: list.hash, participants }, { revocations: list });
    }
    // Who stands by has no round that anybody would hear of: only who its members are matters.
    else ledger.commit(withoutRevoked(ledger.state, { list: list.hash, participants }), { revocations: list });
    this.#newest = list;
    onEvent({ event: 'revoked', version, participants, invites: invites.length });
    return list;
  }
}
