/** One small federation that the protocol's tests share: everything in it follows from fixed seeds. */
import { sealMessage } from '../../protocol/opening.ts';
import type { SealedEnvelope } from '../../protocol/envelope.ts';
import type { EvaluationFigures, SetFigures } from '../../protocol/figures.ts';
import { identityFromSeed } from '../../protocol/identity.ts';
import type { Identity } from '../../protocol/identity.ts';
import { openManifest, signManifest } from '../../protocol/manifest.ts';
import type { Manifest, OpenedManifest } from '../../protocol/manifest.ts';
import type { Factor, MessageHeader, Payload } from '../../protocol/messages.ts';
import { roundNumber, sha256 } from '../../protocol/names.ts';
import type { Sha256 } from '../../protocol/names.ts';
import { blobBytes, encodeBlob, tableHash } from '../../protocol/tensorBlob.ts';
import type { FixedPointTensors } from '../../protocol/tensorBlob.ts';
import { factorTable, quantize } from '../../protocol/update.ts';
import type { VectorEntry } from '../../protocol/update.ts';

export const NOW = 1_790_000_000_000;
export const BITS = 16;

/** The identity of a seed of 32 equal bytes. */
export function identity(byte: number): Identity {
  return identityFromSeed(new Uint8Array(32).fill(byte));
}

export const owner = identity(1);
export const aggregator = identity(2);
/** Ascending by id, as cohorts are. */
export const participants: readonly Identity[] = [11, 12, 13, 14].map(identity).sort((a, b) => (a.id < b.id ? -1 : 1));
export const stranger = identity(99);

export function hashOf(text: string): Sha256 {
  return sha256(Buffer.from(text));
}

/** Where a rank-2 adapter of one projection lies in a flat vector, in an order that is not that of the names. */
export const ENTRIES: readonly VectorEntry[] = [
  { name: 'base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight', shape: [4, 2], offset: 6 },
  { name: 'base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight', shape: [2, 3], offset: 0 },
];
export const VECTOR_LENGTH = 14;

export function entriesOf(factor: Factor): readonly VectorEntry[] {
  return ENTRIES.filter(({ name }) => factor === 'both' || name.includes(`.lora_${factor}.`));
}

/** A has values, B is zero. */
export const initialAdapter: FixedPointTensors = quantize(
  Float32Array.from({ length: VECTOR_LENGTH }, (_, i) => (i < 6 ? (i - 2.5) / 8 : 0)),
  ENTRIES,
  BITS,
);
export const initialBlob = encodeBlob(initialAdapter);

export function exampleManifest(changes: Partial<Manifest> = {}): Manifest {
  return {
    protocol: 1,
    name: 'example',
    owner: owner.id,
    version: 1,
    previous: null,
    createdAt: NOW,
    base: { name: 'embedded', hash: hashOf('base model') },
    reference: 'base',
    adapter: { rank: 2, alpha: 4, targets: ['q_proj'], seed: 7, initial: sha256(initialBlob) },
    training: {
      loss: 'sigmoid',
      beta: 0.1,
      labelSmoothing: null,
      sftWeight: null,
      learningRate: 0.005,
      schedule: 'constant',
      warmup: 0,
      maxGradNorm: 1,
      weightDecay: 0,
      batchSize: 8,
      steps: 20,
      maxLength: 128,
    },
    aggregation: { rule: 'alternating', parameters: {} },
    serverOptimizer: null,
    update: { fixedPointBits: BITS, normBound: 10 },
    rounds: 3,
    quorum: 2,
    maxParticipants: 4,
    deadlines: { join: 1_000, round: 60_000 },
    admission: { mode: 'open' },
    aggregators: [{ id: aggregator.id, addresses: ['/ip4/127.0.0.1/tcp/4001'] }],
    witnesses: { participants: [], required: 0 },
    evaluation: {
      evaluationSet: { sha256: hashOf('evaluation set'), pairs: 100 },
      rootSet: { sha256: hashOf('root set'), pairs: 100 },
      gate: { maxLossPoints: 2 },
    },
    privacy: { minimumPairs: 8, sends: ['the change of one LoRA factor, as integers'], protections: [] },
    ...changes,
  };
}

export function exampleFederation(changes: Partial<Manifest> = {}): OpenedManifest {
  return openManifest(signManifest(owner, exampleManifest(changes)).bytes);
}

/** An update: every value of the round's factor changed by `change`, in units of the weights. */
export function exampleUpdate(change: number, factor: Factor = 'B'): FixedPointTensors {
  return quantize(new Float32Array(VECTOR_LENGTH).fill(change), entriesOf(factor), BITS);
}

export function header(changes: Partial<MessageHeader> = {}): MessageHeader {
  return {
    federation: exampleFederation().hash,
    round: roundNumber(1),
    sequence: 1,
    nonce: '000102030405060708090a0b0c0d0e0f',
    issuedAt: NOW,
    expiresAt: NOW + 60_000,
    ...changes,
  };
}

/** The message that offers an update of round 1. */
export function updateMessage(
  sender: Identity,
  update: FixedPointTensors,
  changes: Partial<Payload<'update'>> = {},
): SealedEnvelope {
  const table = factorTable(initialAdapter.table, 'B');
  return sealMessage(sender, 'update', {
    ...header(),
    recipient: aggregator.id,
    factor: 'B',
    parent: sha256(initialBlob),
    blob: sha256(encodeBlob(update)),
    bytes: blobBytes(table),
    table: tableHash(table, BITS),
    pairsBucket: 64,
    ...changes,
  });
}

function figuresOf(correct: number): SetFigures {
  return { pairs: 100, correct, ties: 0, meanMargin: correct / 100, perplexity: 4.5 };
}

/** Figures whose root accuracy is `root` percent for the candidate and `rootParent` percent for its parent. */
export function exampleFigures(root = 75, rootParent = 70): EvaluationFigures {
  return { evaluation: figuresOf(72), root: figuresOf(root), rootParent: figuresOf(rootParent), winRate: null };
}
