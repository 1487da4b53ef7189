/** Who takes part in a simulated federation, and its manifest. Keys follow from numbers, so they are made once. */
import { identityFromSeed } from '../../protocol/identity.ts';
import type { Identity } from '../../protocol/identity.ts';
import type { RuleName } from '../../protocol/aggregation/rules.ts';
import { openManifest, signManifest } from '../../protocol/manifest.ts';
import type { OpenedManifest } from '../../protocol/manifest.ts';
import { sha256 } from '../../protocol/names.ts';
import { BITS, INITIAL_BLOB, NORM_BOUND, SET_PAIRS } from './learning.ts';

const identities = new Map<string, Identity>();

/** The key of a role and a number: simulated, and worth nothing elsewhere. */
export function identityOf(role: 'owner' | 'aggregator' | 'participant' | 'stranger', number: number): Identity {
  const name = `prefmesh simulation ${role} ${number}`;
  let identity = identities.get(name);
  if (identity === undefined) {
    identity = identityFromSeed(Buffer.from(sha256(Buffer.from(name)), 'hex'));
    identities.set(name, identity);
  }
  return identity;
}

export interface FederationShape {
  readonly participants: number;
  readonly rounds: number;
  readonly rule: RuleName;
  readonly quorum: number;
  readonly witnesses: number;
  /** Milliseconds. */
  readonly joinTime: number;
  readonly roundTime: number;
  readonly createdAt: number;
}

export const PAIRS = 200;

export function simulatedFederation(shape: FederationShape): OpenedManifest {
  const owner = identityOf('owner', 0);
  const ids = Array.from({ length: shape.participants }, (_, i) => identityOf('participant', i).id);
  const set = (name: string) => ({ sha256: sha256(Buffer.from(name)), pairs: SET_PAIRS });
  const { bytes } = signManifest(owner, {
    protocol: 1,
    name: 'simulation',
    owner: owner.id,
    version: 1,
    previous: null,
    createdAt: shape.createdAt,
    base: { name: 'simulated', hash: sha256(Buffer.from('simulated base')) },
    reference: 'base',
    adapter: { rank: 2, alpha: 4, targets: ['q_proj'], seed: 0, initial: sha256(INITIAL_BLOB) },
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
    aggregation: { rule: shape.rule, parameters: {} },
    serverOptimizer: null,
    update: { fixedPointBits: BITS, normBound: NORM_BOUND },
    rounds: shape.rounds,
    quorum: shape.quorum,
    maxParticipants: shape.participants,
    deadlines: { join: shape.joinTime, round: shape.roundTime },
    admission: { mode: 'allow-list', participants: ids.toSorted() },
    aggregators: [{ id: identityOf('aggregator', 0).id, addresses: ['/memory/aggregator'] }],
    witnesses: {
      participants: ids.slice(0, shape.witnesses).toSorted(),
      // A majority, so that two histories never both have enough.
      required: shape.witnesses === 0 ? 0 : Math.floor(shape.witnesses / 2) + 1,
    },
    evaluation: {
      evaluationSet: set('evaluation set'),
      rootSet: set('root set'),
      gate: { maxLossPoints: 2 },
    },
    privacy: { minimumPairs: 64, sends: ['the change of one LoRA factor, as integers'], protections: [] },
  });
  return openManifest(bytes);
}
