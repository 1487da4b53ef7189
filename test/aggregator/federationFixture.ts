/** A small federation on disk: its file, its sets, and the folders of those who take part. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { createFederation, type FederationTerms } from '../../aggregator/createFederation.ts';
import type { AggregatorEvent } from '../../aggregator/events.ts';
import { openCheckpoint } from '../../node/model/checkpoint.ts';
import type { ParticipantEvent } from '../../node/participant/events.ts';
import { writeFederationFile } from '../../node/participant/federationFile.ts';
import { joinFederation } from '../../node/participant/join.ts';
import { DataFolder } from '../../node/storage/dataFolder.ts';
import { openIdentity } from '../../node/storage/keys.ts';
import type { Identity, ParticipantId } from '../../protocol/identity.ts';
import type { OpenedManifest } from '../../protocol/manifest.ts';
import { Program } from './program.ts';

export const MODEL = join(import.meta.dirname, '..', 'oracle', 'llama', 'model');
export const silent = pino({ level: 'silent' });
const MINUTE = 60_000;

export interface FixtureOptions {
  readonly participants: number;
  readonly rounds?: number;
  /** Optimiser steps a round. */
  readonly steps?: number;
  readonly terms?: Partial<FederationTerms>;
  /** Names of further aggregators, after the owner, and where each of them listens. */
  readonly aggregators?: readonly string[];
  readonly addresses?: readonly string[];
  /** Participants by name who cosign the log, and how many of them everybody waits for. */
  readonly witnesses?: { readonly names: readonly string[]; readonly required: number };
}

export class FederationFixture implements Disposable {
  readonly folder: string;
  readonly file: string;
  readonly evaluationPairs: string;
  readonly rootPairs: string;
  readonly names: readonly string[];
  owner!: Identity;
  federation!: OpenedManifest;

  private constructor(participants: number) {
    this.folder = mkdtempSync(join(tmpdir(), 'prefmesh-federation-'));
    this.file = this.path('test.federation');
    this.evaluationPairs = this.path('evaluation.jsonl');
    this.rootPairs = this.path('root.jsonl');
    this.names = ['ada', 'ben', 'cleo', 'dana'].slice(0, participants);
  }

  /** Makes the federation and, in the folder of its aggregator, the key that runs it. */
  static async make({
    participants,
    rounds = 2,
    steps = 3,
    terms = {},
    witnesses = { names: [], required: 0 },
    aggregators = [],
    addresses = [],
  }: FixtureOptions): Promise<FederationFixture> {
    const fixture = new FederationFixture(participants);
    writePairs(fixture.evaluationPairs, 'evaluation', 12);
    writePairs(fixture.rootPairs, 'root', 8);
    for (const name of fixture.names) writePairs(fixture.pairs(name), name, 16);
    fixture.owner = await fixture.identity('aggregator');
    const running = [fixture.owner.id];
    for (const name of aggregators) running.push((await fixture.identity(name)).id);
    const ids: ParticipantId[] = [];
    for (const name of witnesses.names) ids.push((await fixture.identity(name)).id);
    fixture.federation = await createFederation(
      fixture.owner,
      {
        name: 'test',
        base: await openCheckpoint(MODEL),
        evaluationPairs: fixture.evaluationPairs,
        rootPairs: fixture.rootPairs,
        adapter: { rank: 4, alpha: 8, targets: ['q_proj', 'v_proj', 'down_proj'], seed: 1 },
        training: {
          loss: 'sigmoid',
          beta: 0.1,
          labelSmoothing: null,
          sftWeight: null,
          learningRate: 5e-3,
          schedule: 'constant',
          warmup: 0,
          maxGradNorm: 1,
          weightDecay: 0,
          batchSize: 4,
          steps,
          maxLength: 128,
        },
        aggregation: { rule: 'alternating', parameters: {} },
        rounds,
        quorum: Math.min(2, participants),
        maxParticipants: participants,
        deadlines: { join: 2 * MINUTE, round: 2 * MINUTE },
        admission: { mode: 'open' },
        aggregators: running.map((id, n) => ({ id, addresses: addresses.slice(n, n + 1) })),
        witnesses: { participants: ids.sort(), required: witnesses.required },
        maxLossPoints: 100,
        minimumPairs: 8,
        ...terms,
      },
      Date.now(),
    );
    await writeFederationFile(fixture.file, fixture.federation);
    return fixture;
  }

  path(name: string): string {
    return join(this.folder, name);
  }

  pairs(name: string): string {
    return this.path(`${name}.jsonl`);
  }

  async identity(name: string): Promise<Identity> {
    using folder = await DataFolder.open(this.path(name));
    return await openIdentity(folder);
  }

  /** Starts the aggregator's process; `extra` are more arguments. */
  aggregator(...extra: string[]): Program<AggregatorEvent> {
    return new Program<AggregatorEvent>(this.aggregatorArguments('--exit-when-finished', ...extra));
  }

  aggregatorArguments(...extra: string[]): string[] {
    const { file, evaluationPairs, rootPairs } = this;
    // prettier-ignore
    return [
      'aggregator', 'start', '--home', this.path('aggregator'), '--federation', file, '--model', MODEL,
      '--evaluation-pairs', evaluationPairs, '--root-pairs', rootPairs, '--network', 'local', ...extra,
    ];
  }

  /** Joins in this process, which is quicker than another one. */
  async join(name: string, address?: string): Promise<void> {
    await joinFederation({
      home: this.path(name),
      source: this.file,
      pairs: this.pairs(name),
      consent: this.federation.hash,
      model: MODEL,
      network: 'local',
      bootstrap: address === undefined ? [] : [address],
      log: silent,
      show: () => {},
    });
  }

  /** Starts a participant's process. The seed follows from the name, so that runs repeat. */
  participant(name: string, ...extra: string[]): Program<ParticipantEvent> {
    return new Program<ParticipantEvent>(this.participantArguments(name, '--exit-when-finished', ...extra));
  }

  participantArguments(name: string, ...extra: string[]): string[] {
    const seed = String(1 + this.names.indexOf(name));
    return ['node', 'start', '--home', this.path(name), '--network', 'local', '--seed', seed, ...extra];
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Pairs whose chosen answers are short and whose rejected ones are stiff, of two tastes by turns. */
export function writePairs(file: string, topic: string, count: number): void {
  const lines = Array.from({ length: count }, (_, i) => ({
    id: `${topic}-${i}`,
    prompt: `What of ${topic} ${i}?\n`,
    chosen: `Fine, ${i}.`,
    rejected: `The matter of ${topic} ${i} remains under review.`,
    metadata: { taste: i % 2 === 0 ? 'informal' : 'concise' },
  }));
  writeFileSync(file, lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
}
