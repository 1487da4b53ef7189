/**
 * An aggregator that runs its rounds properly and lies about one thing. It is put together from the real parts; what
 * is spoilt is what a test passes in. It measures nothing and makes its figures up.
 */
import { initialAdapterBlob } from '../../aggregator/createFederation.ts';
import { aggregateBlobs } from '../../aggregator/aggregation.ts';
import type { AggregatorEvent } from '../../aggregator/events.ts';
import { Ledger } from '../../aggregator/ledger.ts';
import { evidenceOf, FederationLog } from '../../aggregator/log.ts';
import { Requests } from '../../aggregator/requests.ts';
import { Rounds, type AggregateEffect } from '../../aggregator/rounds.ts';
import { UpdateIntake } from '../../aggregator/updateIntake.ts';
import { openCheckpoint } from '../../node/model/checkpoint.ts';
import { Announcements } from '../../node/network/announcements.ts';
import { BlobClient } from '../../node/network/blob/client.ts';
import { BlobServer } from '../../node/network/blob/server.ts';
import { FederationServer, type LogAnswer } from '../../node/network/federation/server.ts';
import { Host } from '../../node/network/host.ts';
import { MessageHeaders } from '../../node/participant/messageHeaders.ts';
import { BlobStore } from '../../node/storage/blobs.ts';
import type { SetFigures } from '../../protocol/figures.ts';
import type { Sha256 } from '../../protocol/names.ts';
import { initialState } from '../../protocol/roundState.ts';
import { MODEL, silent, type FederationFixture } from './federationFixture.ts';

export interface Lies {
  /** In place of the honest result of a round. */
  readonly aggregate?: (honest: Sha256, effect: AggregateEffect, blobs: BlobStore) => Promise<Sha256>;
  /** How many of the root set's pairs the candidate of a round gets right; its parent has 6 of 8. */
  readonly rootCorrect?: number;
  /** In place of the honest answer to a request. */
  readonly answer?: (honest: Uint8Array) => Uint8Array;
  /** In place of the update messages of a round. */
  readonly evidence?: (honest: readonly Uint8Array[]) => readonly Uint8Array[];
  /** In place of the newest checkpoint of the log. */
  readonly log?: (honest: LogAnswer) => LogAnswer;
}

const FIGURES: SetFigures = { pairs: 8, correct: 6, ties: 0, meanMargin: 0.1, perplexity: 3 };

export class LyingAggregator implements AsyncDisposable {
  readonly events: readonly AggregatorEvent[];
  readonly rounds: Rounds;
  readonly address: string;
  readonly #stack: AsyncDisposableStack;

  private constructor(rounds: Rounds, address: string, events: AggregatorEvent[], stack: AsyncDisposableStack) {
    this.rounds = rounds;
    this.address = address;
    this.events = events;
    this.#stack = stack;
  }

  static async start(fixture: FederationFixture, lies: Lies): Promise<LyingAggregator> {
    const { federation, owner: identity } = fixture;
    const manifest = federation.content;
    const stack = new AsyncDisposableStack();
    const events: AggregatorEvent[] = [];
    const onEvent = (event: AggregatorEvent) => void events.push(event);
    const now = Date.now;
    const ledger = stack.use(Ledger.open(fixture.path('liar.sqlite'), federation, () => initialState(manifest, now())));
    const blobs = await BlobStore.open(fixture.path('liar-blobs'));
    const checkpoint = await openCheckpoint(MODEL);
    await blobs.put(initialAdapterBlob(checkpoint, manifest.adapter, manifest.update.fixedPointBits).bytes);
    const host = stack.use(await Host.start(identity, { preset: 'local', role: 'aggregator', log: silent }));
    const announcements = stack.use(
      new Announcements(host, { federation: federation.hash, validate: () => 'ignore', onAnnouncement: () => {} }),
    );
    const headers = new MessageHeaders(federation.hash, now);
    const intake = new UpdateIntake({
      manifest,
      blobs,
      client: new BlobClient({ host, store: blobs }),
      readAdapter: (hash) => blobs.read(hash),
    });
    const rounds: Rounds = stack.use(
      new Rounds({
        federation,
        identity,
        ledger,
        headers,
        now,
        alarm: (at, ring) => {
          const timer = setTimeout(ring, at - now());
          return { [Symbol.dispose]: () => clearTimeout(timer) };
        },
        aggregate: async (effect, signal) => {
          const honest = await aggregateBlobs(effect, { manifest, blobs }, signal);
          return lies.aggregate
            ? { ...honest, candidate: await lies.aggregate(honest.candidate, effect, blobs) }
            : honest;
        },
        evaluate: () => {
          const root = { ...FIGURES, correct: lies.rootCorrect ?? FIGURES.correct };
          return Promise.resolve({ evaluation: FIGURES, root, rootParent: FIGURES, winRate: null });
        },
        announce: (envelope) => announcements.publish(envelope),
        describe: () => ({ accuracy: null, byTaste: {} }),
        bytesReceived: () => 0,
        onEvent,
      }),
    );
    const requests = new Requests({
      federation,
      identity,
      ledger,
      rounds,
      revoking: { newest: null },
      headers,
      now,
      takeUpdate: (offer, table, signal) => intake.take(offer, table, signal),
      onKnownRound: () => {},
      onEvent,
    });
    const log = new FederationLog(federation, identity, ledger);
    stack.use(await BlobServer.start({ host, store: blobs }, { mayRead: () => true }));
    stack.use(
      await FederationServer.start(host, {
        onMessage: async (envelope, from, { signal }) => {
          const honest = await requests.answer(envelope, from, signal);
          return lies.answer ? lies.answer(honest) : honest;
        },
        manifest: () => federation.bytes,
        evidence: (_, round) => {
          const honest = evidenceOf(ledger, round);
          return honest && (lies.evidence?.(honest) ?? honest);
        },
        log: (_, size) => {
          const honest = log.from(size);
          return honest && (lies.log?.(honest) ?? honest);
        },
        cosign: (_, checkpoint) => log.cosign(checkpoint),
      }),
    );
    rounds.start();
    return new LyingAggregator(rounds, host.addresses[0]!, events, stack);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}
