/**
 * What must hold of every run, whatever went wrong in it and whoever lied: looked at from outside, in the history and
 * on the disks, with no word believed that was not adopted by somebody honest.
 */
import { decodeEnvelope, envelopeHash } from '../../protocol/envelope.ts';
import { LIMITS } from '../../protocol/limits.ts';
import type { OpenedReceipt } from '../../protocol/receipt.ts';
import { updateOf } from '../../protocol/receipt.ts';
import type { Sha256 } from '../../protocol/names.ts';
import { evidenceOf } from '../log.ts';
import { isAggregatorAttack } from './attackers.ts';
import type { Happening } from './history.ts';
import type { SimulatedAggregator } from './simulatedAggregator.ts';
import type { SimulatedParticipant } from './simulatedParticipant.ts';
import type { Outcome } from './simulation.ts';

/** Each invariant in words. */
export const INVARIANTS = {
  I1: 'round numbers never go back',
  I2: 'a participant has at most one update in a round',
  I3: 'what was acknowledged is in the record',
  I4: 'what was adopted can be recomputed from what was sent',
  I5: 'nothing leaves a machine that is not on its record first',
  I6: 'nobody adopts another adapter for a round than somebody else',
  I7: 'no half-written adapter is ever loaded',
  I8: 'everybody honest ends with the same adapter, and is there two rounds after a partition heals',
} as const;

export type InvariantName = keyof typeof INVARIANTS;

export interface BrokenInvariant {
  readonly invariant: InvariantName;
  readonly who: string;
  readonly problem: string;
}

/** What the checks look at. */
interface Evidence {
  readonly outcome: Outcome;
  readonly happenings: readonly Happening[];
  readonly honest: readonly SimulatedParticipant[];
  /** Whether the aggregator keeps to the protocol. */
  readonly faithful: boolean;
  /** Receipts by their hashes, of all histories that were told. */
  readonly receipts: ReadonlyMap<Sha256, Told>;
}

interface Told {
  readonly receipt: OpenedReceipt;
  readonly teller: SimulatedAggregator;
}

type Report = (who: string, problem: string) => void;

const CHECKS: Record<InvariantName, (evidence: Evidence, report: Report) => void> = {
  I1: roundsGoOn,
  I2: oneUpdateEach,
  I3: acknowledgedIsRecorded,
  I4: adoptedRecomputes,
  I5: recordedBeforeItLeaves,
  I6: oneHistory,
  I7: wholeAdapters,
  I8: everybodyConverges,
};

/** All that a run has broken; empty for a good one. */
export function brokenInvariants(outcome: Outcome): BrokenInvariant[] {
  const { options, history, participants, aggregators } = outcome;
  const receipts = new Map<Sha256, Told>();
  for (const teller of aggregators) {
    for (const receipt of teller.receipts()) receipts.set(receipt.hash, { receipt, teller });
  }
  const evidence: Evidence = {
    outcome,
    happenings: history.happenings,
    honest: participants.filter(({ hostile }) => !hostile),
    faithful: options.attack === null || !isAggregatorAttack(options.attack),
    receipts,
  };
  const broken: BrokenInvariant[] = [];
  for (const [invariant, check] of Object.entries(CHECKS) as [InvariantName, (typeof CHECKS)[InvariantName]][]) {
    check(evidence, (who, problem) => broken.push({ invariant, who, problem }));
  }
  return broken;
}

function roundsGoOn({ happenings, faithful }: Evidence, report: Report): void {
  const last = new Map<string, number>();
  for (const { who, what } of happenings) {
    if (!('round' in what) || typeof what.round !== 'number') continue;
    const ofAggregator = what.event === 'round-opened' || what.event === 'round-closed';
    if (!(ofAggregator && faithful) && what.event !== 'receipt-verified' && what.event !== 'adopted') continue;
    const before = last.get(who) ?? 0;
    if (what.round < before) report(who, `${what.event} of round ${what.round} after round ${before}`);
    last.set(who, Math.max(before, what.round));
  }
}

function oneUpdateEach({ happenings, honest, receipts, faithful }: Evidence, report: Report): void {
  const known = new Map<string, Sha256>();
  const same = (who: string, key: string, blob: Sha256, problem: string): void => {
    const before = known.get(key);
    if (before !== undefined && before !== blob) report(who, `${problem}: ${before} and ${blob}`);
    known.set(key, blob);
  };
  const names = new Set(honest.map(({ options }) => options.name));
  for (const { who, what } of happenings) {
    if (what.event === 'offer-left' && names.has(who)) {
      same(who, `${who} offers in ${what.round}`, what.blob, `offered two updates in round ${what.round}`);
    }
    if (what.event === 'update-accepted' && 'participant' in what && faithful) {
      const { participant, round, blob } = what;
      same(who, `${who} ${participant} ${round}`, blob, `accepted two updates of ${participant} in round ${round}`);
    }
  }
  for (const { receipt, teller } of receipts.values()) {
    const senders = receipt.content.updates.map(({ sender }) => sender);
    if (new Set(senders).size !== senders.length) {
      report(teller.name, `a sender twice in the receipt of round ${receipt.content.round}`);
    }
  }
}

function acknowledgedIsRecorded({ happenings, honest, receipts, faithful, outcome }: Evidence, report: Report): void {
  const byName = new Map(honest.map((participant) => [participant.options.name, participant]));
  const verified = verifiedReceipts(happenings);
  for (const { who, what } of happenings) {
    const participant = byName.get(who);
    if (participant === undefined || what.event !== 'update-accepted' || 'participant' in what) continue;
    const { round, blob } = what;
    // An honest aggregator is held to all that it tells; of one that lies, nobody may be taken in.
    const hash = verified.get(`${who} ${round}`);
    const told = faithful
      ? [...receipts.values()].find(({ receipt }) => receipt.content.round === round)
      : hash && receipts.get(hash);
    if (told) {
      const entry = updateOf(told.receipt.content, participant.id);
      if (entry?.verdict === 'accepted' && entry.blob === blob) continue;
      report(who, `its update of round ${round} was acknowledged, and the receipt has ${entry?.verdict ?? 'none'}`);
    } else if (faithful && !outcome.aggregator.hasUpdate(round, participant.id, blob)) {
      report(who, `its update of round ${round} was acknowledged, and the ledger has none`);
    }
  }
}

function adoptedRecomputes({ outcome, happenings, receipts, faithful, honest }: Evidence, report: Report): void {
  const names = new Set(honest.map(({ options }) => options.name));
  const adopted = new Set<string>();
  for (const { who, what } of happenings) {
    if (what.event === 'adopted' && names.has(who)) adopted.add(`${what.round} ${what.adapter}`);
  }
  const { archive, verification } = outcome.world;
  for (const { receipt, teller } of receipts.values()) {
    const { round, previous, output } = receipt.content;
    const taken = adopted.delete(`${round} ${output}`);
    if (!faithful && !taken) continue;
    const before = previous === null ? null : (receipts.get(previous)?.receipt ?? null);
    const sent = new Map((evidenceOf(teller.ledger(), round) ?? []).map((bytes) => [hashOf(bytes), bytes]));
    const task = { receipt: receipt.bytes, previous: before?.bytes ?? null, own: null, envelopes: null };
    const { failures } = verification.verify(task, {
      blobs: (blob) => archive.get(blob),
      envelopes: (envelope) => sent.get(envelope),
    });
    for (const { code } of failures) report(teller.name, `the receipt of round ${round} fails: ${code}`);
  }
  for (const what of adopted) report('world', `something was adopted that no receipt gives: ${what}`);
}

function recordedBeforeItLeaves({ happenings, honest }: Evidence, report: Report): void {
  const names = new Set(honest.map(({ options }) => options.name));
  for (const { who, what } of happenings) {
    if (what.event === 'offer-left' && !what.recorded && names.has(who)) {
      report(who, `an update of round ${what.round} left without a record`);
    }
  }
}

function oneHistory({ happenings, honest }: Evidence, report: Report): void {
  const names = new Set(honest.map(({ options }) => options.name));
  const first = new Map<number, { readonly who: string; readonly adapter: Sha256 }>();
  for (const { who, what } of happenings) {
    if (what.event !== 'adopted' || !names.has(who)) continue;
    const { round, adapter } = what;
    const known = first.get(round);
    if (known === undefined) first.set(round, { who, adapter });
    else if (known.adapter !== adapter) report(who, `adopted another adapter in round ${round} than ${known.who}`);
  }
}

function wholeAdapters({ happenings, honest }: Evidence, report: Report): void {
  const adopted = new Map<string, Set<Sha256>>(honest.map(({ options }) => [options.name, new Set()]));
  // What is loaded at a start was adopted before it, or in the moment when the process died.
  for (const { who, what } of happenings) {
    if (what.event === 'receipt-verified') adopted.get(who)?.add(what.receipt);
    if (what.event !== 'loaded' || !adopted.has(who)) continue;
    if (!what.whole) report(who, `loaded a half-written adapter ${what.adapter}`);
    if (adopted.get(who)!.size === 0) report(who, `loaded an adapter ${what.adapter} before it verified any receipt`);
  }
}

function everybodyConverges(evidence: Evidence, report: Report): void {
  const { outcome, honest, happenings, faithful } = evidence;
  if (!faithful) return; // whoever is lied to stops, and stays with what it has
  const { aggregator } = outcome;
  if (aggregator.stopped !== null) report(aggregator.name, `stopped: ${aggregator.stopped}`);
  else if (!aggregator.finished) report(aggregator.name, 'the rounds did not end');
  const final = aggregator.receipts().at(-1)?.content.output;
  const last = new Map<string, Sha256>();
  for (const { who, what } of happenings) if (what.event === 'finished') last.set(who, what.adapter);
  for (const { options, stopped, finished } of honest) {
    const { name } = options;
    if (stopped !== null) report(name, `stopped: ${stopped}`);
    else if (!finished) report(name, 'is not at the end');
    else if (last.get(name) !== final) report(name, `ended with ${last.get(name)} in place of ${final}`);
  }
  for (const [i, { what }] of happenings.entries()) if (what.event === 'heal') backAfterHealing(evidence, i, report);
}

/** Whoever nothing more happened to has followed to the next round by the time that the one after it has closed. */
function backAfterHealing({ happenings, honest }: Evidence, healed: number, report: Report): void {
  const reached = new Map<string, number>();
  const troubled = new Set<string>();
  const closed: number[] = [];
  for (const [i, { who, what }] of happenings.entries()) {
    if (what.event === 'receipt-verified') reached.set(who, what.round);
    if (i <= healed) continue;
    if (what.event === 'partition') return;
    if (what.event === 'crash' || what.event === 'decay' || what.event === 'clock') troubled.add(who);
    if (what.event === 'round-closed' && !closed.includes(what.round)) closed.push(what.round);
    if (closed.length < 3) continue;
    for (const { options } of honest) {
      const { name } = options;
      if (troubled.has(name) || (reached.get(name) ?? 0) >= closed[0]!) continue;
      report(
        name,
        `is at round ${reached.get(name) ?? 0} two rounds after round ${closed[0]}, before which a partition healed`,
      );
    }
    return;
  }
}

function verifiedReceipts(happenings: readonly Happening[]): Map<string, Sha256> {
  const verified = new Map<string, Sha256>();
  for (const { who, what } of happenings) {
    if (what.event === 'receipt-verified') verified.set(`${who} ${what.round}`, what.receipt);
  }
  return verified;
}

function hashOf(envelope: Uint8Array): Sha256 {
  return envelopeHash(decodeEnvelope(envelope, LIMITS.message.value));
}
