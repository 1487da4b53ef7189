/**
 * A round to aggregate, on disk: a parent adapter, and as many updates of its factor B as wanted, at SmolLM2-135M
 * dimensions with rank 16 on all seven projections. Every layer is a third of a megabyte.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { LIMITS } from '../../../protocol/limits.ts';
import { identityFromSeed, type Identity } from '../../../protocol/identity.ts';
import { openManifest, signManifest, type Manifest, type OpenedManifest } from '../../../protocol/manifest.ts';
import { roundNumber, sha256, type Sha256 } from '../../../protocol/names.ts';
import { sealMessage } from '../../../protocol/opening.ts';
import { inputsRoot, signReceipt, type Receipt, type ReceivedUpdate } from '../../../protocol/receipt.ts';
import { blobBytes, encodeBlob, tableHash, valueCount, type TensorShape } from '../../../protocol/tensorBlob.ts';
import { factorTable } from '../../../protocol/update.ts';

export const BITS = 24;
const RANK = 16;
/** Outputs and inputs. */
const PROJECTIONS = {
  q_proj: [576, 576],
  k_proj: [192, 576],
  v_proj: [192, 576],
  o_proj: [576, 576],
  gate_proj: [1536, 576],
  up_proj: [1536, 576],
  down_proj: [576, 1536],
} as const;
const NOW = 1_790_000_000_000;

export interface Workload {
  readonly folder: string;
  readonly parent: Sha256;
  /** Ascending. */
  readonly updates: readonly Sha256[];
  readonly updateBytes: number;
}

/** Adapter tensors of so many layers, ascending by name. */
export function tableOf(layers: number): TensorShape[] {
  const tensors: TensorShape[] = [];
  for (let layer = 0; layer < layers; layer++) {
    for (const [name, [outputs, inputs]] of Object.entries(PROJECTIONS)) {
      const module = `base_model.model.model.layers.${layer}.${name}`;
      tensors.push({ name: `${module}.lora_A.weight`, shape: [RANK, inputs] });
      tensors.push({ name: `${module}.lora_B.weight`, shape: [outputs, RANK] });
    }
  }
  return tensors.sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** Writes the blobs under their hashes, and beside them what NumPy reads: `workload.json` and the factors A. */
export async function writeWorkload(folder: string, layers: number, count: number): Promise<Workload> {
  await mkdir(folder, { recursive: true });
  const table = tableOf(layers);
  const sent = factorTable(table, 'B');
  const put = async (tensors: readonly TensorShape[], magnitude: number): Promise<Sha256> => {
    const values = randomValues(
      tensors.reduce((sum, tensor) => sum + valueCount(tensor), 0),
      magnitude,
    );
    const blob = encodeBlob({ bits: BITS, table: tensors, values });
    const hash = sha256(blob);
    await writeFile(join(folder, hash), blob);
    return hash;
  };
  const parent = await put(table, 2 ** 20);
  const updates: Sha256[] = [];
  for (let n = 0; n < count; n++) updates.push(await put(sent, 2 ** 14));
  updates.sort();
  const shapes = table.map(({ name, shape }) => ({ name, shape }));
  await writeFile(join(folder, 'workload.json'), JSON.stringify({ bits: BITS, parent, updates, shapes }));
  return { folder, parent, updates, updateBytes: blobBytes(sent) };
}

let seed = 1;
/** Whole numbers, uniform within ±magnitude / 2. */
function randomValues(length: number, magnitude: number): Int32Array {
  const values = new Int32Array(length);
  for (let i = 0; i < length; i++) {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    values[i] = Math.round((seed / 2 ** 32 - 0.5) * magnitude);
  }
  return values;
}

export interface SignedRound {
  readonly federation: OpenedManifest;
  readonly receipt: Uint8Array;
  readonly envelopes: readonly Uint8Array[];
}

/** The signed papers of a published round over the workload: one participant for each update. */
export function signedRound({ parent, updates }: Workload, layers: number, candidate: Sha256): SignedRound {
  const [owner, aggregator] = [keyOf(1, 0), keyOf(2, 0)];
  const participants = updates.map((_, n) => keyOf(3, n)).sort((a, b) => (a.id < b.id ? -1 : 1));
  const federation = openManifest(signManifest(owner, termsOf(owner, aggregator, parent, updates.length)).bytes);
  const table = factorTable(tableOf(layers), 'B');
  const round = roundNumber(1);
  const messages = participants.map((sender, n) =>
    sealMessage(sender, 'update', {
      federation: federation.hash,
      round,
      sequence: 1,
      nonce: '00'.repeat(16),
      issuedAt: NOW,
      expiresAt: NOW + 60_000,
      recipient: aggregator.id,
      factor: 'B',
      parent,
      blob: updates[n]!,
      bytes: blobBytes(table),
      table: tableHash(table, BITS),
      pairsBucket: 64,
    }),
  );
  const listed: ReceivedUpdate[] = participants.map(({ id }, n) => ({
    sender: id,
    envelope: messages[n]!.hash,
    blob: updates[n]!,
    verdict: 'accepted',
    code: null,
  }));
  const set = { pairs: 100, correct: 80, ties: 0, meanMargin: 1, perplexity: 4 };
  const receipt: Receipt = {
    federation: federation.hash,
    round,
    outcome: 'published',
    reason: null,
    aggregation: { rule: 'robust', parameters: { byzantineShare: 0.2 } },
    factor: 'B',
    cohort: participants.map(({ id }) => id),
    updates: listed,
    revocations: null,
    inputsRoot: inputsRoot(listed),
    parent,
    candidate,
    output: candidate,
    optimizerState: null,
    figures: { evaluation: set, root: set, rootParent: set, winRate: null },
    startedAt: NOW,
    closedAt: NOW + 1,
    previous: null,
  };
  return { federation, receipt: signReceipt(aggregator, receipt).bytes, envelopes: messages.map(({ bytes }) => bytes) };
}

function keyOf(kind: number, n: number): Identity {
  return identityFromSeed(Uint8Array.from({ length: 32 }, (_, i) => (i === 0 ? kind : i === 1 ? n : 0)));
}

export function termsOf(owner: Identity, aggregator: Identity, initial: Sha256, participants: number): Manifest {
  const set = { sha256: initial, pairs: 100 };
  return {
    protocol: 1,
    name: 'benchmark',
    owner: owner.id,
    version: 1,
    previous: null,
    createdAt: NOW,
    base: { name: 'random', hash: initial },
    reference: 'base',
    adapter: {
      rank: RANK,
      alpha: RANK,
      targets: Object.keys(PROJECTIONS) as (keyof typeof PROJECTIONS)[],
      seed: 0,
      initial,
    },
    training: {
      loss: 'sigmoid',
      beta: 0.1,
      learningRate: 0.001,
      schedule: 'constant',
      warmup: 0,
      maxGradNorm: 1,
      weightDecay: 0,
      batchSize: 8,
      steps: 20,
      maxLength: 256,
      labelSmoothing: null,
      sftWeight: null,
    },
    aggregation: { rule: 'robust', parameters: {} },
    serverOptimizer: null,
    update: { fixedPointBits: BITS, normBound: 100 },
    rounds: 1,
    quorum: Math.min(3, participants),
    maxParticipants: Math.min(participants, LIMITS.participants.value),
    deadlines: { join: 1000, round: 60_000 },
    admission: { mode: 'open' },
    aggregators: [{ id: aggregator.id, addresses: [] }],
    witnesses: { participants: [], required: 0 },
    evaluation: { evaluationSet: set, rootSet: set, gate: { maxLossPoints: 2 } },
    privacy: { minimumPairs: 1, sends: ['the change of one LoRA factor, as integers'], protections: [] },
  };
}
