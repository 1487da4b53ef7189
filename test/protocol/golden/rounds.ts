/**
 * Whole federations as audit folders hold them, one for each aggregation rule and server optimiser, all from fixed
 * seeds: what another implementation has to verify, number for number. Matrices are large enough that distances come
 * from sketches; some updates are hostile, and the last round is skipped.
 */
import { packAcknowledged } from '../../../protocol/acknowledgement.ts';
import { aggregateRound } from '../../../protocol/aggregation/aggregate.ts';
import { resolveParameters, ruleByName, RULE_NAMES } from '../../../protocol/aggregation/rules.ts';
import type { RuleName } from '../../../protocol/aggregation/rules.ts';
import { cosignCheckpoint, openCheckpoint, signCheckpoint, withCosignatures } from '../../../protocol/checkpoint.ts';
import type { SealedEnvelope } from '../../../protocol/envelope.ts';
import { openManifest, signManifest } from '../../../protocol/manifest.ts';
import type { Manifest } from '../../../protocol/manifest.ts';
import { consistencyProof, inclusionProof, merkleRoot } from '../../../protocol/merkle.ts';
import type { Factor } from '../../../protocol/messages.ts';
import { roundNumber, sha256 } from '../../../protocol/names.ts';
import type { Sha256 } from '../../../protocol/names.ts';
import { sealMessage } from '../../../protocol/opening.ts';
import { inputsRoot, signReceipt } from '../../../protocol/receipt.ts';
import type { Receipt } from '../../../protocol/receipt.ts';
import { blobBytes, decodeBlob, encodeBlob, tableHash } from '../../../protocol/tensorBlob.ts';
import type { FixedPointTensors, TensorShape } from '../../../protocol/tensorBlob.ts';
import { factorTable } from '../../../protocol/update.ts';
import { aggregator, BITS, exampleFigures, exampleManifest, header, identity, NOW, owner } from '../exampleFederation.ts';

/** An audit folder: its files by their paths. Blobs are apart, as `blobs/<hash>` of all. */
export type GoldenAudit = ReadonlyMap<string, Uint8Array>;

export interface GoldenRounds {
  readonly federations: ReadonlyMap<string, GoldenAudit>;
  readonly blobs: ReadonlyMap<Sha256, Uint8Array>;
}

const OPTIMIZERS = ['fedavgm', 'diloco', 'fedadam'] as const;
const RANK = 2;
const ATTENTION = 'base_model.model.model.layers.0.self_attn';
/** More rows than buckets in one B, more columns than buckets in one A. */
const TABLE: readonly TensorShape[] = [
  { name: `${ATTENTION}.q_proj.lora_A.weight`, shape: [RANK, 5] },
  { name: `${ATTENTION}.q_proj.lora_B.weight`, shape: [40, RANK] },
  { name: `${ATTENTION}.v_proj.lora_A.weight`, shape: [RANK, 36] },
  { name: `${ATTENTION}.v_proj.lora_B.weight`, shape: [4, RANK] },
];
const senders = [21, 22, 23, 24, 25, 26, 27, 28].map(identity).sort((a, b) => (a.id < b.id ? -1 : 1));
const witnesses = [31, 32].map(identity).sort((a, b) => (a.id < b.id ? -1 : 1));

/** Whole numbers in ±spread, from a linear congruential generator. */
function* numbers(seed: number, spread: number): Generator<number, never> {
  for (let state = seed; ;) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    yield Math.round((state / 2 ** 32 - 0.5) * 2 * spread);
  }
}

function tensors(table: readonly TensorShape[], next: (n: number) => number): FixedPointTensors {
  const length = table.reduce((total, { shape }) => total + shape.reduce((product, side) => product * side, 1), 0);
  return { bits: BITS, table, values: Int32Array.from({ length }, (_, n) => next(n)) };
}

function drawn(table: readonly TensorShape[], seed: number, spread: number): FixedPointTensors {
  const draw = numbers(seed, spread);
  return tensors(table, () => draw.next().value);
}

/** Every A has two rows: twice the same in one, all but the same in the other. */
function initialAdapter(): FixedPointTensors {
  const { values, ...shape } = drawn(TABLE, 7, 90_000);
  const [wide, narrow] = [36, 5];
  const second = 2 * narrow + 80; // where the other A begins
  for (let i = 0; i < narrow; i++) values[narrow + i] = values[i]!;
  for (let i = 0; i < wide; i++) values[second + wide + i] = values[second + i]! + 900 * (i % 3);
  return { ...shape, values };
}

/** What each of the senders sends in a round: four who agree more or less, two against them, one far too long, one nearly zero. */
function updatesOf(round: number, factor: Factor): FixedPointTensors[] {
  const table = factorTable(TABLE, factor);
  const common = drawn(table, 1000 + round, 3e6).values;
  return senders.map((_, place) => {
    const own = drawn(table, 100 * round + place, 2e6).values;
    const scale = [1, 1.25, 0.75, 1.5, -4, 40, 0, -3][place]!;
    return tensors(table, (n) => Math.round(scale * (common[n]! + own[n]!)) + (place === 6 && n === 0 ? 1 : 0));
  });
}

export function goldenRounds(): GoldenRounds {
  const blobs = new Map<Sha256, Uint8Array>();
  const federations = new Map<string, GoldenAudit>();
  for (const rule of RULE_NAMES) federations.set(rule, play(rule, null, blobs));
  for (const name of OPTIMIZERS) {
    federations.set(`robust, then ${name}`, play('robust', { name, parameters: {} }, blobs));
  }
  return { federations, blobs };
}

const SIX_DIGITS = 6;

function play(
  rule: RuleName,
  serverOptimizer: Manifest['serverOptimizer'],
  blobs: Map<Sha256, Uint8Array>,
): Map<string, Uint8Array> {
  const keep = (bytes: Uint8Array): Sha256 => {
    const hash = sha256(bytes);
    blobs.set(hash, bytes);
    return hash;
  };
  const files = new Map<string, Uint8Array>();
  const initial = initialAdapter();
  const manifest = exampleManifest({
    name: rule,
    adapter: { rank: RANK, alpha: 4, targets: ['q_proj', 'v_proj'], seed: 7, initial: keep(encodeBlob(initial)) },
    aggregation: { rule, parameters: {} },
    serverOptimizer,
    update: { fixedPointBits: BITS, normBound: 30_000 },
    quorum: 5,
    maxParticipants: senders.length,
    witnesses: { participants: witnesses.map(({ id }) => id), required: 2 },
  });
  const federation = openManifest(signManifest(owner, manifest).bytes);
  files.set('federation', federation.bytes);

  const receipts: SealedEnvelope[] = [];
  let [parent, state] = [manifest.adapter.initial, null as Sha256 | null];
  for (const round of [1, 2, 3].map(roundNumber)) {
    const factor = ruleByName(rule).factorOf(round);
    const played = { federation: federation.hash, round, factor, parent };
    // In the last round only two send anything, and one of them is refused.
    const sending = round === 3 ? senders.slice(0, 2) : senders;
    const updates = updatesOf(round, factor);
    const listed = sending.map((sender, place) => {
      const blob = encodeBlob(updates[place]!);
      const message = updateMessage(sender, updates[place]!, played);
      files.set(`updates/${message.hash}`, message.bytes);
      const refused = round === 3 && place === 1;
      if (!refused) keep(blob);
      if (round === 1 && place === 0) files.set('acknowledgements/000001', acknowledged(sender, message, federation.hash));
      const verdict = refused ? ('refused' as const) : ('accepted' as const);
      return { sender: sender.id, envelope: message.hash, blob: sha256(blob), verdict, code: refused ? 'NORM_EXCEEDED' : null };
    });
    const accepted = listed.filter(({ verdict }) => verdict === 'accepted').map(({ blob }) => blob);
    accepted.sort();
    const closed = round === 3 ? null : aggregateRound({
      ...manifest.aggregation,
      factor,
      parent: decodeBlob(blobs.get(parent)!),
      blobs: accepted,
      updates: accepted.map((hash) => decodeBlob(blobs.get(hash)!)),
      serverOptimizer,
      optimizerState: state && decodeBlob(blobs.get(state)!),
    });
    const candidate = closed && keep(closed.blob);
    if (closed?.optimizerState) state = keep(closed.optimizerState.blob);
    const receipt: Receipt = {
      ...played,
      outcome: candidate === null ? 'skipped' : 'published',
      reason: candidate === null ? 'QUORUM_MISSED' : null,
      aggregation: { rule, parameters: resolveParameters(rule, {}) },
      cohort: senders.map(({ id }) => id),
      updates: listed,
      revocations: null,
      inputsRoot: inputsRoot(listed),
      candidate,
      output: candidate ?? parent,
      optimizerState: state,
      figures: candidate === null ? null : exampleFigures(),
      startedAt: NOW,
      closedAt: NOW + 60_000,
      previous: receipts.at(-1)?.hash ?? null,
    };
    receipts.push(signReceipt(aggregator, receipt));
    files.set(`receipts/${String(round).padStart(SIX_DIGITS, '0')}`, receipts.at(-1)!.bytes);
    parent = receipt.output;
  }
  files.set('checkpoint', Buffer.from(cosigned(federation.hash, receipts)));
  return files;
}

function updateMessage(
  sender: (typeof senders)[0],
  update: FixedPointTensors,
  played: Pick<Receipt, 'federation' | 'round' | 'factor' | 'parent'>,
): SealedEnvelope {
  return sealMessage(sender, 'update', {
    ...header(),
    ...played,
    recipient: aggregator.id,
    blob: sha256(encodeBlob(update)),
    bytes: blobBytes(update.table),
    table: tableHash(update.table, BITS),
    pairsBucket: 64,
  });
}

function acknowledged(sender: (typeof senders)[0], update: SealedEnvelope, federation: Sha256): Uint8Array {
  const answer = { recipient: sender.id, request: update.hash, verdict: 'accepted', code: null } as const;
  return packAcknowledged(update.bytes, sealMessage(aggregator, 'acknowledgement', { ...header(), federation, ...answer }).bytes);
}

/** The checkpoint of all receipts, with the lines of both witnesses. */
function cosigned(federation: Sha256, receipts: readonly SealedEnvelope[]): string {
  const checkpoint = { federation, size: receipts.length, root: merkleRoot(receipts.map(({ bytes }) => bytes)) };
  const ids = witnesses.map(({ id }) => id);
  return witnesses.reduce((note, witness, n) => {
    const line = openCheckpoint(cosignCheckpoint(witness, checkpoint, NOW / 1000 + n));
    return withCosignatures(openCheckpoint(note), line, ids);
  }, signCheckpoint(aggregator, checkpoint));
}

/** Proofs over the test entries of the Certificate Transparency implementations, of every size and place, in hexadecimal. */
export function goldenProofs() {
  const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
  const texts = ['', '00', '10', '2021', '3031', '40414243', '5051525354555657', '606162636465666768696a6b6c6d6e6f'];
  const entries = texts.map((text) => new Uint8Array(Buffer.from(text, 'hex')));
  const inclusion: { size: number; index: number; root: string; proof: string[] }[] = [];
  const consistency: { oldSize: number; newSize: number; oldRoot: string; newRoot: string; proof: string[] }[] = [];
  const rootOf = (size: number) => hex(merkleRoot(entries.slice(0, size)));
  for (let size = 1; size <= entries.length; size++) {
    const some = entries.slice(0, size);
    for (let index = 0; index < size; index++) {
      inclusion.push({ size, index, root: rootOf(size), proof: inclusionProof(some, index).map(hex) });
      const [oldSize, proof] = [index + 1, consistencyProof(some, index + 1).map(hex)];
      consistency.push({ oldSize, newSize: size, oldRoot: rootOf(oldSize), newRoot: rootOf(size), proof });
    }
  }
  return { entries: texts, inclusion, consistency };
}
