/**
 * Handing a list of revocations to every aggregator of a federation, and asking them what they know beforehand.
 *
 * The list is signed by the owner, so it does not matter who brings it: a host with a key of the moment does, since the
 * owner's own key may be in use by the aggregator that is to be reached.
 */
import { randomBytes } from 'node:crypto';
import type { Logger } from 'pino';
import { FederationClient } from '../node/network/federation/client.ts';
import { Host } from '../node/network/host.ts';
import type { PresetName } from '../node/network/presets.ts';
import { isRefusal } from '../node/network/refusal.ts';
import { isPrefmeshError } from '../protocol/errors.ts';
import { identityFromSeed } from '../protocol/identity.ts';
import type { Identity, ParticipantId } from '../protocol/identity.ts';
import type { OpenedManifest } from '../protocol/manifest.ts';
import { openRevocations } from '../protocol/revocations.ts';
import type { OpenedRevocations } from '../protocol/revocations.ts';
import { dialAggregator } from './dialAggregator.ts';
import type { UsedInvite } from './ledger.ts';

export interface AggregatorsReachOptions {
  readonly network: PresetName;
  /** Multiaddrs besides those of the manifest. */
  readonly addresses: readonly string[];
  /** Whose key is shown: an owner's, to be told of guests; a key of the moment when absent. */
  readonly identity?: Identity;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

export class AggregatorsReach implements AsyncDisposable {
  readonly #federation: OpenedManifest;
  readonly #host: Host;
  readonly #client: FederationClient;
  readonly #options: AggregatorsReachOptions;
  /** Why an aggregator could not be asked. */
  readonly problems = new Map<ParticipantId, string>();

  private constructor(federation: OpenedManifest, host: Host, options: AggregatorsReachOptions) {
    this.#federation = federation;
    this.#host = host;
    this.#client = new FederationClient(host);
    this.#options = options;
  }

  static async open(federation: OpenedManifest, options: AggregatorsReachOptions): Promise<AggregatorsReach> {
    const { network, addresses, log } = options;
    const identity = options.identity ?? identityFromSeed(randomBytes(32));
    const host = await Host.start(identity, { preset: network, role: 'participant', bootstrap: addresses, log });
    return new AggregatorsReach(federation, host, options);
  }

  /** The newest list that any aggregator has; null where none has one, or none can be reached. */
  async newest(): Promise<OpenedRevocations | null> {
    const found = await this.#each((id) => this.#client.revocations(id, this.#federation.hash, null, this.#cancel));
    const lists = [...found.values()].map((bytes) => openRevocations(bytes, this.#federation));
    return lists.sort((a, b) => b.content.version - a.content.version)[0] ?? null;
  }

  /** Who was let in by which invite, as far as the aggregators know. */
  async guests(): Promise<UsedInvite[]> {
    const found = await this.#each((id) => this.#client.guests(id, this.#federation.hash, this.#cancel));
    return [...found.values()].flat();
  }

  /** Hands in a list; the aggregators that have it now. */
  async handIn(list: Uint8Array): Promise<ParticipantId[]> {
    return [...(await this.#each((id) => this.#client.revoke(id, this.#federation.hash, list, this.#cancel))).keys()];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#host[Symbol.asyncDispose]();
  }

  get #cancel(): { signal: AbortSignal } {
    return { signal: this.#options.signal };
  }

  async #each<Answer>(ask: (id: ParticipantId) => Promise<Answer>): Promise<Map<ParticipantId, Answer>> {
    const answers = new Map<ParticipantId, Answer>();
    for (const { id, addresses } of this.#federation.content.aggregators) {
      try {
        await this.#connect(id, addresses);
        answers.set(id, await ask(id));
        this.problems.delete(id);
      } catch (error) {
        this.#options.signal.throwIfAborted();
        if (!isPrefmeshError(error)) throw error;
        if (!isRefusal(error, 'REVOCATIONS_MISSING')) this.problems.set(id, error.message);
      }
    }
    return answers;
  }

  async #connect(id: ParticipantId, known: readonly string[]): Promise<void> {
    if (this.#host.connectedPeers.includes(id)) return;
    const { addresses } = this.#options;
    const own = [...known, ...addresses].filter((each) => !each.includes('/p2p/') || each.endsWith(`/p2p/${id}`));
    await dialAggregator(this.#host, id, own, this.#options.signal);
  }
}
