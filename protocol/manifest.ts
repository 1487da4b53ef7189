/**
 * The manifest: a federation's terms, signed by its owner. Its hash is the federation's id, so whoever knows the id
 * can check that the terms are the ones meant. Other terms make another manifest, with a higher version and the hash
 * of the one before, signed by the same owner.
 */
import { z } from 'zod';
import { RULE_NAMES, checkRuleParameters, fewestUpdates } from './aggregation/rules.ts';
import { openDocument, sealDocument } from './documents.ts';
import type { OpenedDocument } from './documents.ts';
import type { SealedEnvelope } from './envelope.ts';
import { PrefmeshError } from './errors.ts';
import { participantIdSchema } from './identity.ts';
import type { Identity } from './identity.ts';
import { LIMITS } from './limits.ts';
import { timestampSchema } from './messages.ts';
import { sha256Schema } from './names.ts';
import { checkServerOptimizer, SERVER_OPTIMIZER_NAMES } from './serverOptimizer/serverOptimizers.ts';
import type { Sha256 } from './names.ts';
import { trainingTermsSchema } from './trainingTerms.ts';

const TARGETS = ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj'] as const;

const positive = z.number().positive();
const duration = z.int().min(1).max(LIMITS.deadline.value);

/** A set of pairs that the aggregator evaluates on: the SHA-256 of its file, and how many pairs it has. */
const pairSetSchema = z.strictObject({ sha256: sha256Schema, pairs: z.int().min(1) });

const admissionSchema = z.discriminatedUnion('mode', [
  /** Only these may join. */
  z.strictObject({
    mode: z.literal('allow-list'),
    participants: z.array(participantIdSchema).min(1).max(LIMITS.participants.value).refine(isSortedSet, {
      error: 'not sorted, or not distinct',
    }),
  }),
  /** Who holds an invite may join. */
  z.strictObject({
    mode: z.literal('invite'),
    /** Who may sign one besides the owner. */
    inviters: z.enum(['aggregators', 'members']),
    /** Most members that one inviter may have brought in, their guests included; the owner is not bound by it. */
    guestsPerInviter: z.int().min(1).max(LIMITS.participants.value),
  }),
  /** Anyone may join: for demonstrations on one machine, and labelled so wherever it is shown. */
  z.strictObject({ mode: z.literal('open') }),
]);

export const manifestSchema = z
  .strictObject({
    protocol: z.literal(1),
    /** For people; two federations may have the same. */
    name: z.string().min(1).max(LIMITS.name.value),
    owner: participantIdSchema,
    /** 1 for the first; a changed manifest counts on. */
    version: z.int().min(1),
    /** Hash of the manifest that this one replaces; null for the first. */
    previous: sha256Schema.nullable(),
    createdAt: timestampSchema,

    /** The frozen model that adapters belong to: its checkpoint hash, and what people call it. */
    base: z.strictObject({ name: z.string().min(1).max(LIMITS.name.value), hash: sha256Schema }),
    /** What DPO measures against: always the bare base model, so that it never drifts from round to round. */
    reference: z.literal('base'),

    /** The LoRA adapter that is trained, and the one it starts from. */
    adapter: z.strictObject({
      rank: z.int().min(1).max(LIMITS.rank.value),
      alpha: positive,
      targets: z.array(z.enum(TARGETS)).min(1).refine(isInOrderOfTargets, { error: 'not in the order of the model' }),
      /** Seed of the initial A factors; B is zero. */
      seed: z.int().min(0).max(0xffff_ffff),
      /** Blob hash of the initial adapter, the parent of round 1. */
      initial: sha256Schema,
    }),

    /** How a participant trains in one round. */
    training: trainingTermsSchema,

    aggregation: z.strictObject({
      rule: z.enum(RULE_NAMES),
      parameters: z.record(z.string().max(64), z.number()),
    }),

    /** What is made of a round's aggregate before it is applied; null when it is applied as it is. */
    serverOptimizer: z
      .strictObject({ name: z.enum(SERVER_OPTIMIZER_NAMES), parameters: z.record(z.string().max(64), z.number()) })
      .nullable(),

    /** How an update is written, and how large it may be. */
    update: z.strictObject({
      /** A value is an integer times 2^-fixedPointBits. */
      fixedPointBits: z.int().min(8).max(28),
      /** Largest L2 norm of one update, in units of the weights. */
      normBound: positive,
    }),

    rounds: z.int().min(1).max(LIMITS.rounds.value),
    /** Fewest accepted updates that close a round; below it the round is skipped. */
    quorum: z.int().min(1).max(LIMITS.participants.value),
    maxParticipants: z.int().min(1).max(LIMITS.participants.value),

    deadlines: z.strictObject({
      /** How long an open round waits for more members once it has a quorum of them (ms). */
      join: duration,
      /** From the start of training until updates are no longer taken (ms). */
      round: duration,
    }),

    admission: admissionSchema,

    /** Who may run rounds, in the order in which participants try them. */
    aggregators: z
      .array(
        z.strictObject({
          id: participantIdSchema,
          /** Multiaddrs, hints only: a found peer is believed for its key. */
          addresses: z.array(z.string().min(1).max(LIMITS.address.value)).max(LIMITS.addresses.value),
        }),
      )
      .min(1)
      .max(LIMITS.aggregators.value),

    /**
     * Members who repeat every round from its blobs and cosign the log, so that a participant need not trust the
     * aggregator, nor repeat every round itself.
     */
    witnesses: z.strictObject({
      participants: z.array(participantIdSchema).max(LIMITS.witnesses.value).refine(isSortedSet, {
        error: 'not sorted, or not distinct',
      }),
      /** How many cosignatures a participant wants before it adopts a round. */
      required: z.int().min(0).max(LIMITS.witnesses.value),
    }),

    evaluation: z.strictObject({
      /** Its figures are reported. */
      evaluationSet: pairSetSchema,
      /** Its figures decide whether a round is published. Shares no prompt with the evaluation set. */
      rootSet: pairSetSchema,
      gate: z.strictObject({
        /** Most preference accuracy on the root set that a round may lose, in percentage points. */
        maxLossPoints: z.number().min(0).max(100),
      }),
    }),

    privacy: z.strictObject({
      /** A participant with fewer pairs sends nothing. */
      minimumPairs: z.int().min(1).max(LIMITS.pairs.value),
      /** What leaves a participant's machine, in words for the person who consents. */
      sends: z.array(z.string().min(1).max(LIMITS.sentence.value)).min(1).max(16),
      /** Which protections are on; empty when there is none beyond keeping the pairs at home. */
      protections: z.array(z.string().min(1).max(LIMITS.sentence.value)).max(16),
    }),
  })
  .superRefine((manifest, context) => {
    const refuse = (path: string, message: string) => context.addIssue({ code: 'custom', path: [path], message });
    if (manifest.quorum > manifest.maxParticipants) refuse('quorum', 'more than maxParticipants');
    if ((manifest.version === 1) !== (manifest.previous === null)) {
      refuse('previous', 'null for version 1, and only for it');
    }
    if (new Set(manifest.aggregators.map(({ id }) => id)).size !== manifest.aggregators.length) {
      refuse('aggregators', 'not distinct');
    }
    const problem = checkRuleParameters(manifest.aggregation.rule, manifest.aggregation.parameters);
    if (problem !== undefined) refuse('aggregation', problem);
    else if (manifest.quorum < fewestUpdates(manifest.aggregation.rule, manifest.aggregation.parameters)) {
      refuse('quorum', `less than the rule ${manifest.aggregation.rule} needs`);
    }
    const { serverOptimizer } = manifest;
    const misfit = serverOptimizer && checkServerOptimizer(serverOptimizer, manifest.aggregation.rule);
    if (misfit) refuse('serverOptimizer', misfit);
    if (manifest.witnesses.required > manifest.witnesses.participants.length) {
      refuse('witnesses', 'more cosignatures than there are witnesses');
    }
    if (manifest.update.normBound * 2 ** manifest.update.fixedPointBits >= 2 ** 31) {
      refuse('update', 'a value within normBound does not fit 32 bits at this many fixedPointBits');
    }
  });

export type Manifest = z.infer<typeof manifestSchema>;
export type TargetModule = (typeof TARGETS)[number];

/** A manifest with the federation id that follows from it (`hash`). */
export type OpenedManifest = OpenedDocument<Manifest>;

/** Signs a manifest. Throws MALFORMED when a term is out of bounds, WRONG_OWNER when another key is named as owner. */
export function signManifest(owner: Identity, manifest: Manifest): SealedEnvelope {
  if (manifest.owner !== owner.id) throw new PrefmeshError('WRONG_OWNER', { owner: manifest.owner });
  return sealDocument(owner, 'manifest', manifestSchema, manifest);
}

/**
 * Reads a manifest and checks that its owner signed it and, where `federation` is given, that it is that federation's.
 * Throws OVERSIZED, MALFORMED, UNEXPECTED_TYPE, BAD_SIGNATURE, WRONG_OWNER, WRONG_FEDERATION.
 */
export function openManifest(bytes: Uint8Array, federation?: Sha256): OpenedManifest {
  const opened = openDocument(bytes, 'manifest', manifestSchema);
  if (opened.sender !== opened.content.owner) throw new PrefmeshError('WRONG_OWNER', { owner: opened.content.owner });
  if (federation !== undefined && opened.hash !== federation) {
    throw new PrefmeshError('WRONG_FEDERATION', { sender: opened.sender, federation: opened.hash });
  }
  return opened;
}

/** Whether `next` may follow `previous`: same owner, one version up, linked by hash. Throws WRONG_OWNER, BROKEN_CHAIN. */
export function checkSuccession(previous: OpenedManifest, next: OpenedManifest): void {
  if (next.content.owner !== previous.content.owner) {
    throw new PrefmeshError('WRONG_OWNER', { owner: next.content.owner });
  }
  if (next.content.version !== previous.content.version + 1 || next.content.previous !== previous.hash) {
    throw new PrefmeshError('BROKEN_CHAIN', {
      what: `manifest version ${next.content.version}`,
      previous: `version ${previous.content.version}`,
    });
  }
}

function isSortedSet(items: readonly string[]): boolean {
  return items.every((item, index) => index === 0 || items[index - 1]! < item);
}

function isInOrderOfTargets(targets: readonly TargetModule[]): boolean {
  return targets.every(
    (target, index) => index === 0 || TARGETS.indexOf(targets[index - 1]!) < TARGETS.indexOf(target),
  );
}
