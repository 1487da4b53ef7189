/**
 * The receipt: what an aggregator signs at the end of every round, published or skipped. It says what went in, what
 * was done with it and what came out, and names the receipt before it, so that the receipts of a federation are one
 * chain. `verification.ts` is how anyone checks it.
 */
import { z } from 'zod';
import { resolveParameters, RULE_NAMES } from './aggregation/rules.ts';
import { openDocument, sealDocument } from './documents.ts';
import type { OpenedDocument } from './documents.ts';
import { lengthPrefixed } from './envelope.ts';
import type { SealedEnvelope } from './envelope.ts';
import { evaluationFiguresSchema } from './figures.ts';
import { participantIdSchema } from './identity.ts';
import type { Identity, ParticipantId } from './identity.ts';
import { LIMITS } from './limits.ts';
import type { OpenedManifest } from './manifest.ts';
import { merkleRoot } from './merkle.ts';
import { codeSchema, factorSchema, timestampSchema } from './messages.ts';
import { roundNumberSchema, sha256Schema } from './names.ts';
import type { Sha256 } from './names.ts';
import { factorOfRound, SKIP_REASONS } from './roundState.ts';
import type { EndedRound } from './roundState.ts';

/** One update as the round treated it. */
const receivedUpdateSchema = z.strictObject({
  sender: participantIdSchema,
  /** Hash of the update message's envelope. */
  envelope: sha256Schema,
  blob: sha256Schema,
  verdict: z.enum(['accepted', 'refused']),
  /** Why, when refused; null when accepted. */
  code: codeSchema.nullable(),
});

const participants = LIMITS.participants.value;

export const receiptSchema = z.strictObject({
  federation: sha256Schema,
  round: roundNumberSchema,
  outcome: z.enum(['published', 'skipped']),
  /** Why, when skipped; null when published. */
  reason: z.enum(SKIP_REASONS).nullable(),
  aggregation: z.strictObject({
    rule: z.enum(RULE_NAMES),
    /** All of the rule's parameters, defaults included. */
    parameters: z.record(z.string().max(64), z.number()),
  }),
  factor: factorSchema,
  /** Who was asked for an update, ascending. */
  cohort: z.array(participantIdSchema).max(participants),
  /** Ascending by sender. */
  updates: z.array(receivedUpdateSchema).max(participants),
  /** Hash of the owner's list of revocations under which the round was closed; null where there was none. */
  revocations: sha256Schema.nullable(),
  /** Merkle root over `updateLeaf` of each entry of `updates`, in hexadecimal. */
  inputsRoot: sha256Schema,
  /** The adapter before the round. */
  parent: sha256Schema,
  /** What the rule made of the accepted updates; null when it did not come to that. */
  candidate: sha256Schema.nullable(),
  /** The adapter after the round: the candidate when published, the parent when skipped. */
  output: sha256Schema,
  /** What the server optimiser remembers after the round: a blob's hash; null before the first published round, and without an optimiser. */
  optimizerState: sha256Schema.nullable(),
  figures: evaluationFiguresSchema.nullable(),
  startedAt: timestampSchema,
  closedAt: timestampSchema,
  /** Hash of the receipt of the round before; null in round 1. */
  previous: sha256Schema.nullable(),
});

export type Receipt = z.infer<typeof receiptSchema>;
export type ReceivedUpdate = z.infer<typeof receivedUpdateSchema>;
export type OpenedReceipt = OpenedDocument<Receipt>;

/** What an ended round's receipt says. */
export function receiptOf(ended: EndedRound, federation: OpenedManifest): Receipt {
  const { rule, parameters } = federation.content.aggregation;
  const updates = [
    ...ended.accepted.map(({ sender, envelope, blob }) => ({
      sender,
      envelope,
      blob,
      verdict: 'accepted' as const,
      code: null,
    })),
    ...ended.refused.map((update) => ({ ...update, verdict: 'refused' as const })),
  ].sort((a, b) => (a.sender < b.sender ? -1 : 1));
  return {
    federation: federation.hash,
    round: ended.round,
    outcome: ended.phase,
    reason: ended.phase === 'skipped' ? ended.reason : null,
    aggregation: { rule, parameters: resolveParameters(rule, parameters) },
    factor: factorOfRound(ended),
    cohort: [...ended.cohort],
    updates,
    revocations: ended.closedUnder,
    inputsRoot: inputsRoot(updates),
    parent: ended.parent,
    candidate: ended.candidate,
    output: ended.phase === 'published' ? ended.candidate : ended.parent,
    optimizerState: ended.phase === 'published' ? ended.candidateState : ended.optimizerState,
    figures: ended.figures,
    startedAt: ended.startedAt,
    closedAt: ended.closedAt,
    previous: ended.receipt,
  };
}

/** Signs a receipt. Throws MALFORMED. */
export function signReceipt(aggregator: Identity, receipt: Receipt): SealedEnvelope {
  return sealDocument(aggregator, 'receipt', receiptSchema, receipt);
}

/** Receipts that were opened, by the very bytes: on its way through a node a receipt is asked for its content often. */
const opened = new WeakMap<Uint8Array, OpenedReceipt>();

/**
 * Reads a receipt and checks its signature, and nothing more. The bytes must not be changed afterwards. Throws OVERSIZED, MALFORMED, UNEXPECTED_TYPE,
 * BAD_SIGNATURE.
 */
export function openReceipt(bytes: Uint8Array): OpenedReceipt {
  let receipt = opened.get(bytes);
  if (receipt === undefined) opened.set(bytes, (receipt = openDocument(bytes, 'receipt', receiptSchema)));
  return receipt;
}

/** An update's entry in the Merkle tree: its five fields as text, each after its length; an absent code is empty. */
function updateLeaf({ sender, envelope, blob, verdict, code }: ReceivedUpdate): Uint8Array {
  return lengthPrefixed(...[sender, envelope, blob, verdict, code ?? ''].map((field) => Buffer.from(field)));
}

/** Root of the Merkle tree over what a receipt lists, in the order in which it lists it. */
export function inputsRoot(updates: readonly ReceivedUpdate[]): Sha256 {
  return Buffer.from(merkleRoot(updates.map(updateLeaf))).toString('hex') as Sha256;
}

/** The entry of one participant, if the receipt has one. */
export function updateOf(receipt: Receipt, sender: ParticipantId): ReceivedUpdate | undefined {
  return receipt.updates.find((update) => update.sender === sender);
}
