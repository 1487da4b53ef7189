/**
 * How anyone checks a receipt, with the manifest and nothing else to trust.
 *
 * Seven questions, each with its own codes: was it signed by an aggregator of the federation; does it follow the
 * receipt before it; does it keep to the manifest's terms; does nobody count whom the owner has revoked; is what I sent
 * in it; have the others sent what it lists; and do the accepted updates give this adapter and no other. The last two
 * need the messages and the blobs. All are
 * asked, and all that fails is reported.
 */
import { admitBlob } from './aggregation/admission.ts';
import { aggregateRound } from './aggregation/aggregate.ts';
import type { AggregatedAdapter, RoundToAggregate } from './aggregation/aggregate.ts';
import { resolveParameters, ruleByName } from './aggregation/rules.ts';
import { decode } from './codec.ts';
import { checkSignature, decodeEnvelope, envelopeHash } from './envelope.ts';
import { isPrefmeshError, PrefmeshError } from './errors.ts';
import { rootLossPoints } from './figures.ts';
import type { EvaluationFigures } from './figures.ts';
import type { ParticipantId } from './identity.ts';
import { LIMITS } from './limits.ts';
import type { Manifest, OpenedManifest } from './manifest.ts';
import { MESSAGES } from './messages.ts';
import type { Sha256 } from './names.ts';
import { openReceipt, inputsRoot, updateOf } from './receipt.ts';
import type { OpenedReceipt, Receipt, ReceivedUpdate } from './receipt.ts';
import { checkRevoked } from './revocations.ts';
import type { RevocationContext } from './revocations.ts';
import { checkBlob, decodeBlob } from './tensorBlob.ts';
import type { FixedPointTensors } from './tensorBlob.ts';

/** `revocations` gives the lists that this receipt and the one before name: without one, its receipt fails. */
export interface VerificationContext extends RevocationContext {
  /** The receipt of the round before, already verified; null for round 1. */
  readonly previous: OpenedReceipt | null;
  /** What the verifier itself sent and was acknowledged as accepted in this round. */
  readonly own?: { readonly sender: ParticipantId; readonly envelope: Sha256; readonly blob: Sha256 };
  /** Gives a blob by its hash, as often as asked; without it nothing is recomputed. Bytes are checked here. */
  readonly blobs?: (hash: Sha256) => Uint8Array | undefined;
  /** Gives the envelope of an update message by its hash; without it the senders' signatures are not checked. */
  readonly envelopes?: (hash: Sha256) => Uint8Array | undefined;
}

export interface Verification {
  readonly ok: boolean;
  /** How many of each were found right. */
  readonly checked: { signatures: number; hashes: number; aggregates: number; log: number };
  /** What is wrong, in the order in which it was found. */
  readonly failures: readonly PrefmeshError[];
  /** The receipt, if its envelope could be read and its signature is good. */
  readonly receipt: OpenedReceipt | null;
}

/** Checks a receipt's envelope. Never throws for what a peer sent: the failures say what is wrong with it. */
export function verifyReceipt(bytes: Uint8Array, context: VerificationContext): Verification {
  const checked = { signatures: 0, hashes: 0, aggregates: 0, log: 0 };
  const failures: PrefmeshError[] = [];
  /** Runs one check; a refusal is noted and the next check goes on. */
  function check<Value>(run: () => Value): Value | undefined {
    try {
      return run();
    } catch (error) {
      if (!isPrefmeshError(error)) throw error;
      failures.push(error);
      return undefined;
    }
  }

  const receipt = check(() => openReceipt(bytes));
  if (!receipt) return { ok: false, checked, failures, receipt: null };
  checked.signatures += 1;
  const { content } = receipt;

  check(() => checkSigner(receipt, context.federation));
  if (check(() => checkLink(content, context)) === true) checked.log += 1;
  check(() => checkTerms(content, context.federation));
  check(() => checkRevoked(content, context));
  check(() => checkInclusion(content, context.own));
  if (inputsRoot(content.updates) === content.inputsRoot) checked.hashes += 1;
  else failures.push(new PrefmeshError('RECEIPT_ROOT', {}));
  const { blobs, envelopes } = context;
  for (const update of envelopes ? content.updates : []) {
    if (check(() => checkSent(update, content, envelopes!)) === true) checked.signatures += 1;
  }
  if (blobs && needsRecomputing(content)) {
    const hashes = check(() => recompute(content, context, blobs));
    if (hashes !== undefined) {
      checked.hashes += hashes;
      checked.aggregates += 1;
    }
  }
  return { ok: failures.length === 0, checked, failures, receipt };
}

function checkSigner({ sender, content }: OpenedReceipt, federation: OpenedManifest): void {
  if (content.federation !== federation.hash) {
    throw new PrefmeshError('WRONG_FEDERATION', { sender, federation: content.federation });
  }
  if (!federation.content.aggregators.some(({ id }) => id === sender)) {
    throw new PrefmeshError('WRONG_AGGREGATOR', { sender });
  }
}

/** One round after the previous receipt, linked by hash, and from the adapter that it ended with. */
function checkLink(receipt: Receipt, { federation, previous }: VerificationContext): true {
  const round = previous ? previous.content.round + 1 : 1;
  const hash = previous?.hash ?? null;
  const parent = previous ? previous.content.output : federation.content.adapter.initial;
  // A round that is skipped leaves what the optimiser remembers as it was.
  const remembers = receipt.outcome === 'published' || receipt.optimizerState === stateBefore(previous);
  if (receipt.round !== round || receipt.previous !== hash || receipt.parent !== parent || !remembers) {
    throw new PrefmeshError('BROKEN_CHAIN', {
      what: `the receipt of round ${receipt.round}`,
      previous: previous ? `that of round ${previous.content.round}` : 'the manifest',
    });
  }
  return true;
}

/** What the server optimiser remembered before a round. */
function stateBefore(previous: OpenedReceipt | null): Sha256 | null {
  return previous?.content.optimizerState ?? null;
}

/** What the manifest, and the receipt's own figures, leave no choice about. */
function checkTerms(receipt: Receipt, { content: manifest }: OpenedManifest): void {
  const { rule, parameters } = manifest.aggregation;
  const accepted = receipt.updates.filter(({ verdict }) => verdict === 'accepted');
  const published = receipt.outcome === 'published';
  const loss = receipt.figures ? rootLossPoints(receipt.figures) : null;
  const gated = loss !== null && loss > manifest.evaluation.gate.maxLossPoints;

  const demand = (holds: boolean, problem: string) => {
    if (!holds) throw new PrefmeshError('RECEIPT_TERMS', { problem });
  };
  demand(receipt.round >= 1 && receipt.round <= manifest.rounds, `there is no round ${receipt.round}`);
  demand(receipt.aggregation.rule === rule, `rule ${receipt.aggregation.rule} in place of ${rule}`);
  demand(
    sameParameters(receipt.aggregation.parameters, resolveParameters(rule, parameters)),
    "other parameters than the manifest's",
  );
  demand(receipt.factor === ruleByName(rule).factorOf(receipt.round), `factor ${receipt.factor}`);
  demand(isAscending(receipt.cohort), 'the cohort is not ascending');
  demand(receipt.cohort.length <= manifest.maxParticipants, 'more participants than the manifest allows');
  const { admission } = manifest;
  demand(
    admission.mode !== 'allow-list' || receipt.cohort.every((id) => admission.participants.includes(id)),
    'somebody in the cohort is not on the allow-list',
  );
  demand(isAscending(receipt.updates.map(({ sender }) => sender)), 'two updates of one participant, or not ascending');
  demand(
    receipt.updates.every(({ sender }) => receipt.cohort.includes(sender)),
    'an update from outside the cohort',
  );
  demand(
    receipt.updates.every(({ verdict, code }) => (verdict === 'accepted') === (code === null)),
    'a verdict without its reason, or the other way round',
  );
  demand(published === (receipt.reason === null), 'an outcome without its reason, or the other way round');
  demand(!published || accepted.length >= manifest.quorum, 'published without its quorum');
  demand(!published || receipt.figures !== null, 'published without figures');
  demand(receipt.figures === null || fitTheSets(receipt.figures, manifest), 'figures of more pairs than the sets have');
  demand(!published || !gated, 'published although the gate refuses');
  demand((receipt.reason === 'GATE_REFUSED') === (!published && gated), 'the gate has decided otherwise');
  demand((receipt.reason === 'QUORUM_MISSED') === accepted.length < manifest.quorum, 'the quorum says otherwise');
  demand(
    (receipt.candidate === null) === (receipt.reason === 'QUORUM_MISSED' || receipt.reason === 'OUT_OF_RANGE'),
    'a candidate without aggregation, or the other way round',
  );
  demand(
    !published || (receipt.optimizerState === null) === (manifest.serverOptimizer === null),
    'an optimiser state without an optimiser, or the other way round',
  );
  demand(receipt.output === (published ? receipt.candidate : receipt.parent), 'the output is not the one that follows');
}

/** Throws NOT_INCLUDED unless what a participant sent, and was told is accepted, is in the receipt. */
export function checkInclusion(receipt: Receipt, own: VerificationContext['own']): void {
  if (!own) return;
  const entry = updateOf(receipt, own.sender);
  if (entry?.verdict !== 'accepted' || entry.envelope !== own.envelope || entry.blob !== own.blob) {
    throw new PrefmeshError('NOT_INCLUDED', { round: receipt.round, sender: own.sender });
  }
}

/** Whether an update's sender has signed a message that offers just this blob to this round. */
function checkSent(
  { sender, envelope: hash, blob }: ReceivedUpdate,
  receipt: Receipt,
  envelopes: (hash: Sha256) => Uint8Array | undefined,
): true {
  const bytes = envelopes(hash);
  if (bytes === undefined) throw new PrefmeshError('ENVELOPE_UNAVAILABLE', { sender });
  const envelope = decodeEnvelope(bytes, LIMITS.message.value);
  const says = (problem: string) => new PrefmeshError('FORGED_UPDATE', { sender, problem });
  if (envelopeHash(envelope) !== hash) throw says('its message has another hash');
  if (envelope.type !== 'update' || envelope.sender !== sender) throw says('its message is of another type or sender');
  checkSignature(envelope);
  const offer = decode(envelope.payload, MESSAGES.update, { what: 'update message', maxBytes: LIMITS.message.value });
  const { federation, round, factor, parent } = receipt;
  if (offer.federation !== federation || offer.round !== round) throw says('its message is for another round');
  if (offer.factor !== factor || offer.parent !== parent || offer.blob !== blob) {
    throw says('its message offers something else');
  }
  return true;
}

/** Whether the updates were aggregated, or are said to be impossible to aggregate. */
function needsRecomputing({ candidate, reason }: Receipt): boolean {
  return candidate !== null || reason === 'OUT_OF_RANGE';
}

/** Repeats the round from its blobs. Returns how many blobs had the hash that they are named by. */
function recompute(
  receipt: Receipt,
  { federation: { content: manifest }, previous }: VerificationContext,
  blobs: (hash: Sha256) => Uint8Array | undefined,
): number {
  const bytesOf = (hash: Sha256): Uint8Array => {
    const bytes = blobs(hash);
    if (bytes === undefined) throw new PrefmeshError('BLOB_UNAVAILABLE', { hash });
    checkBlob(bytes, hash);
    return bytes;
  };
  const parent = decodeBlob(bytesOf(receipt.parent));
  const terms = { parent, factor: receipt.factor, normBound: manifest.update.normBound };
  const accepted = receipt.updates
    .filter(({ verdict }) => verdict === 'accepted')
    .toSorted((a, b) => (a.blob < b.blob ? -1 : 1));
  for (const { sender, blob } of accepted) {
    const verdict = admitBlob(bytesOf(blob), blob, terms);
    if (!verdict.accepted) throw new PrefmeshError('INADMISSIBLE_UPDATE', { sender, code: verdict.problem.code });
  }
  const hashes = accepted.map(({ blob }) => blob);
  const updates: Iterable<FixedPointTensors> = {
    *[Symbol.iterator]() {
      for (const hash of hashes) yield decodeBlob(bytesOf(hash));
    },
  };
  const { serverOptimizer } = manifest;
  const before = serverOptimizer && stateBefore(previous);
  const found = aggregateOrNull({
    ...receipt.aggregation,
    factor: receipt.factor,
    parent,
    blobs: hashes,
    updates,
    serverOptimizer,
    optimizerState: before && decodeBlob(bytesOf(before)),
  });
  const { round, candidate: expected } = receipt;
  const candidate = found?.hash ?? null;
  if (candidate !== expected) {
    throw new PrefmeshError('WRONG_AGGREGATE', { round, found: candidate ?? 'none', expected: expected ?? 'none' });
  }
  const state = found?.optimizerState?.hash ?? null;
  if (receipt.outcome === 'published' && state !== receipt.optimizerState) {
    const [is, said] = [state ?? 'none', receipt.optimizerState ?? 'none'];
    throw new PrefmeshError('WRONG_OPTIMIZER_STATE', { round, found: is, expected: said });
  }
  return 1 + accepted.length + (before === null ? 0 : 1);
}

/** Pairs whose prompt leaves no room for an answer are left out, so there may be fewer. */
function fitTheSets({ evaluation, root }: EvaluationFigures, { evaluation: sets }: Manifest): boolean {
  return evaluation.pairs <= sets.evaluationSet.pairs && root.pairs <= sets.rootSet.pairs;
}

/** What the updates give, or null when it leaves the range of the integers. */
function aggregateOrNull(round: RoundToAggregate): AggregatedAdapter | null {
  try {
    return aggregateRound(round);
  } catch (error) {
    if (isPrefmeshError(error, 'OUT_OF_RANGE')) return null;
    throw error;
  }
}

function sameParameters(a: Readonly<Record<string, number>>, b: Readonly<Record<string, number>>): boolean {
  const names = Object.keys(a);
  return names.length === Object.keys(b).length && names.every((name) => a[name] === b[name]);
}

function isAscending(items: readonly string[]): boolean {
  return items.every((item, index) => index === 0 || items[index - 1]! < item);
}
