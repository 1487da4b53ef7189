/**
 * Making a federation: from a base model, two sets of pairs and some terms to a signed manifest.
 *
 * The initial adapter follows from the manifest alone (base model, layout, seed, scale), so whoever has the model can
 * make it again; the manifest holds its hash.
 */
import type { Checkpoint } from '../node/model/checkpoint.ts';
import { openPairsFile } from '../node/participant/pairsFile.ts';
import type { PairsFile } from '../node/participant/pairsFile.ts';
import { initialAdapter } from '../node/training/adapter.ts';
import { adapterVectorTable } from '../node/training/adapterVector.ts';
import { PrefmeshError } from '../protocol/errors.ts';
import type { Identity } from '../protocol/identity.ts';
import { openManifest, signManifest } from '../protocol/manifest.ts';
import type { Manifest, OpenedManifest } from '../protocol/manifest.ts';
import { sha256 } from '../protocol/names.ts';
import type { Sha256 } from '../protocol/names.ts';
import { stateTable } from '../protocol/serverOptimizer/optimizerState.ts';
import { encodeBlob, tableValueCount } from '../protocol/tensorBlob.ts';
import type { FixedPointTensors } from '../protocol/tensorBlob.ts';
import { factorTable, quantize } from '../protocol/update.ts';

/** What the owner decides; everything absent has the default named here. */
export interface FederationTerms {
  readonly name: string;
  readonly base: Checkpoint;
  /** Files of pairs: the reported evaluation set and the root set of the gate. They may share no prompt. */
  readonly evaluationPairs: string;
  readonly rootPairs: string;
  readonly adapter: Omit<Manifest['adapter'], 'initial'>;
  readonly training: Manifest['training'];
  readonly aggregation: Manifest['aggregation'];
  /** Default: none. */
  readonly serverOptimizer?: Manifest['serverOptimizer'];
  readonly rounds: number;
  readonly quorum: number;
  readonly maxParticipants: number;
  readonly deadlines: Manifest['deadlines'];
  readonly admission: Manifest['admission'];
  readonly aggregators: Manifest['aggregators'];
  /** Default: none. */
  readonly witnesses?: Manifest['witnesses'];
  /** Most preference accuracy on the root set that a round may lose, in percentage points. */
  readonly maxLossPoints: number;
  readonly minimumPairs: number;
  /** Default: the finest scale, up to 24 bits, at which an update within the norm bound fits. */
  readonly fixedPointBits?: number;
  /** Default: as far as AdamW can go in one round's steps, `reachableNorm`. */
  readonly normBound?: number;
}

/** What leaves a participant's machine in every federation of this protocol, in words for who consents. */
const SENDS = [
  'one adapter update a round (the change of the LoRA weights that the round trains), to the aggregator and, so that ' +
    'they can recompute the round, to the other members',
  'the number of preference pairs, rounded down to a power of two',
  "the node's public key and network address",
];

/** AdamW's bias correction lets a step exceed the learning rate a little; this leaves room for it. */
const NORM_HEADROOM = 1.25;
const FINEST_BITS = 24;

/**
 * Signs a manifest for the terms.
 *
 * @param now milliseconds since 1970
 * @throws PAIRS_INVALID, PAIRS_NONE, FILE_MISSING for the sets; SETS_OVERLAP; MALFORMED for a term out of bounds;
 *   MALFORMED_BLOB where no blob holds what the server optimiser remembers
 */
export async function createFederation(owner: Identity, terms: FederationTerms, now: number): Promise<OpenedManifest> {
  const evaluationSet = await openPairsFile(terms.evaluationPairs, terms.base);
  const rootSet = await openPairsFile(terms.rootPairs, terms.base);
  refuseSharedPrompts(evaluationSet, rootSet);
  const normBound = terms.normBound ?? reachableNorm(terms);
  const fixedPointBits = terms.fixedPointBits ?? finestScale(normBound);
  const initial = initialAdapterBlob(terms.base, terms.adapter, fixedPointBits);
  if (terms.serverOptimizer) stateTable(terms.serverOptimizer, initial.tensors.table);
  const { bytes } = signManifest(owner, {
    protocol: 1,
    name: terms.name,
    owner: owner.id,
    version: 1,
    previous: null,
    createdAt: now,
    base: { name: terms.base.name, hash: terms.base.hash as Sha256 },
    reference: 'base',
    adapter: { ...terms.adapter, initial: initial.hash },
    training: terms.training,
    aggregation: terms.aggregation,
    serverOptimizer: terms.serverOptimizer ?? null,
    update: { fixedPointBits, normBound },
    rounds: terms.rounds,
    quorum: terms.quorum,
    maxParticipants: terms.maxParticipants,
    deadlines: terms.deadlines,
    admission: terms.admission,
    aggregators: terms.aggregators,
    witnesses: terms.witnesses ?? { participants: [], required: 0 },
    evaluation: {
      evaluationSet: { sha256: evaluationSet.sha256, pairs: evaluationSet.pairs.length },
      rootSet: { sha256: rootSet.sha256, pairs: rootSet.pairs.length },
      gate: { maxLossPoints: terms.maxLossPoints },
    },
    privacy: { minimumPairs: terms.minimumPairs, sends: SENDS, protections: [] },
  });
  return openManifest(bytes);
}

/** The adapter that round 1 starts from, as integers and as the blob that the manifest names. */
export function initialAdapterBlob(
  { config }: Checkpoint,
  { rank, alpha, targets, seed }: Omit<Manifest['adapter'], 'initial'>,
  bits: number,
): { tensors: FixedPointTensors; bytes: Uint8Array; hash: Sha256 } {
  const { vector, table } = initialAdapter(config, { rank, targets }, alpha, seed);
  const tensors = quantize(vector, table, bits);
  const bytes = encodeBlob(tensors);
  return { tensors, bytes, hash: sha256(bytes) };
}

/**
 * How far AdamW can move the larger factor in one round: each of `steps` steps moves each weight by about the
 * learning rate at most. An honest update stays below it, whatever its data; a hostile one gains nothing beyond.
 */
function reachableNorm({ base, adapter, training }: FederationTerms): number {
  const table = adapterVectorTable(base.config, adapter);
  const values = Math.max(tableValueCount(factorTable(table, 'A')), tableValueCount(factorTable(table, 'B')));
  const both = Math.sqrt(2); // rules that send both factors in one update
  return Number((NORM_HEADROOM * both * training.learningRate * training.steps * Math.sqrt(values)).toPrecision(3));
}

function finestScale(normBound: number): number {
  return Math.min(FINEST_BITS, Math.floor(31 - Math.log2(normBound) - 1e-9));
}

function refuseSharedPrompts(evaluationSet: PairsFile, rootSet: PairsFile): void {
  const reported = new Map(evaluationSet.pairs.map(({ prompt, id }) => [prompt, id]));
  for (const { prompt, id } of rootSet.pairs) {
    const other = reported.get(prompt);
    if (other === undefined) continue;
    throw new PrefmeshError('SETS_OVERLAP', { first: evaluationSet.file, other, second: rootSet.file, id });
  }
}
