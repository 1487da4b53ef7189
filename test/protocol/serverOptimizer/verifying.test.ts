import assert from 'node:assert/strict';
import { aggregateRound, inOrderOfHash } from '../../../protocol/aggregation/aggregate.ts';
import { roundNumber, sha256 } from '../../../protocol/names.ts';
import type { Sha256 } from '../../../protocol/names.ts';
import { inputsRoot, openReceipt, signReceipt } from '../../../protocol/receipt.ts';
import type { OpenedReceipt, Receipt, ReceivedUpdate } from '../../../protocol/receipt.ts';
import { decodeBlob, encodeBlob, type FixedPointTensors } from '../../../protocol/tensorBlob.ts';
import { verifyReceipt } from '../../../protocol/verification.ts';
import {
  aggregator,
  exampleFederation,
  exampleFigures,
  exampleUpdate,
  hashOf,
  initialAdapter,
  initialBlob,
  NOW,
  participants,
} from '../exampleFederation.ts';

const serverOptimizer = { name: 'fedavgm', parameters: { learningRate: 0.5, momentum: 0.5 } } as const;
const federation = exampleFederation({ serverOptimizer });
const blobs = new Map<Sha256, Uint8Array>();
const keep = (bytes: Uint8Array): Sha256 => {
  blobs.set(sha256(bytes), bytes);
  return sha256(bytes);
};
keep(initialBlob);

/** An honest round after `previous`, with two updates. */
function play(
  previous: OpenedReceipt | null,
  parent: FixedPointTensors,
): { receipt: Receipt; adapter: FixedPointTensors } {
  const round = roundNumber((previous?.content.round ?? 0) + 1);
  const factor = round === 1 ? 'B' : 'A';
  const updates = [exampleUpdate(0.25, factor), exampleUpdate(0.5, factor)];
  const before = previous?.content.optimizerState ?? null;
  const made = aggregateRound({
    rule: 'alternating',
    parameters: {},
    factor,
    parent,
    ...inOrderOfHash(updates),
    serverOptimizer,
    optimizerState: before && decodeBlob(blobs.get(before)!),
  });
  const listed: ReceivedUpdate[] = updates.map((update, i) => ({
    sender: participants[i]!.id,
    envelope: hashOf(`message ${i} of round ${round}`),
    blob: keep(encodeBlob(update)),
    verdict: 'accepted',
    code: null,
  }));
  const receipt: Receipt = {
    federation: federation.hash,
    round,
    outcome: 'published',
    reason: null,
    aggregation: { rule: 'alternating', parameters: {} },
    factor,
    cohort: participants.map(({ id }) => id),
    updates: listed,
    revocations: null,
    inputsRoot: inputsRoot(listed),
    parent: previous?.content.output ?? federation.content.adapter.initial,
    candidate: keep(made.blob),
    output: made.hash,
    optimizerState: keep(made.optimizerState!.blob),
    figures: exampleFigures(),
    startedAt: NOW,
    closedAt: NOW + 1,
    previous: previous?.hash ?? null,
  };
  return { receipt, adapter: made.adapter };
}

const first = play(null, initialAdapter);
const opened = openReceipt(signReceipt(aggregator, first.receipt).bytes);
const second = play(opened, first.adapter);

function failuresOf(receipt: Receipt, previous: OpenedReceipt | null, known: ReadonlyMap<Sha256, Uint8Array> = blobs) {
  const { bytes } = signReceipt(aggregator, receipt);
  return verifyReceipt(bytes, { federation, previous, blobs: (hash) => known.get(hash) }).failures.map(
    ({ code }) => code,
  );
}

/** The round that the gate refuses: its figures say that it loses more than the manifest allows. */
const refused = (receipt: Receipt, optimizerState: Sha256 | null): Receipt => ({
  ...receipt,
  outcome: 'skipped',
  reason: 'GATE_REFUSED',
  figures: exampleFigures(60, 70),
  output: receipt.parent,
  optimizerState,
});

describe('verifying rounds with a server optimiser', () => {
  it('finds true rounds right, each from the state that the receipt before it names', () => {
    assert.deepEqual(failuresOf(first.receipt, null), []);
    assert.deepEqual(failuresOf(second.receipt, opened), []);
  });

  it('finds the plain mean out, and a memory that begins anew', () => {
    const plain = aggregateRound({
      rule: 'alternating',
      parameters: {},
      factor: 'B',
      parent: initialAdapter,
      ...inOrderOfHash([exampleUpdate(0.25), exampleUpdate(0.5)]),
    });
    assert.deepEqual(failuresOf({ ...first.receipt, candidate: plain.hash, output: plain.hash }, null), [
      'WRONG_AGGREGATE',
    ]);
    const forgetful = { ...opened, content: { ...opened.content, optimizerState: null } };
    assert.deepEqual(failuresOf(second.receipt, forgetful), ['WRONG_OPTIMIZER_STATE']);
  });

  it('finds another state out', () => {
    const other = { ...first.receipt, optimizerState: hashOf('another') };
    assert.deepEqual(failuresOf(other, null), ['WRONG_OPTIMIZER_STATE']);
    assert.deepEqual(failuresOf({ ...first.receipt, optimizerState: null }, null), [
      'RECEIPT_TERMS',
      'WRONG_OPTIMIZER_STATE',
    ]);
  });

  it('wants a skipped round to leave the state as it was', () => {
    assert.deepEqual(failuresOf(refused(first.receipt, null), null), []);
    assert.deepEqual(failuresOf(refused(second.receipt, first.receipt.optimizerState), opened), []);
    assert.deepEqual(failuresOf(refused(second.receipt, second.receipt.optimizerState), opened), ['BROKEN_CHAIN']);
    assert.deepEqual(failuresOf(refused(second.receipt, null), opened), ['BROKEN_CHAIN']);
  });

  it('misses a state that nobody has', () => {
    const known = new Map([...blobs].filter(([hash]) => hash !== first.receipt.optimizerState));
    assert.deepEqual(failuresOf(second.receipt, opened, known), ['BLOB_UNAVAILABLE']);
  });
});
