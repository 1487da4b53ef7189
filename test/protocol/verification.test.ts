import assert from 'node:assert/strict';
import { aggregateRound, inOrderOfHash } from '../../protocol/aggregation/aggregate.ts';
import type { ErrorCode } from '../../protocol/errors.ts';
import type { Identity } from '../../protocol/identity.ts';
import { LIMITS } from '../../protocol/limits.ts';
import { roundNumber, sha256 } from '../../protocol/names.ts';
import type { Sha256 } from '../../protocol/names.ts';
import { inputsRoot, openReceipt, receiptOf, signReceipt } from '../../protocol/receipt.ts';
import type { Receipt } from '../../protocol/receipt.ts';
import { step } from '../../protocol/round.ts';
import { factorOfRound, initialState } from '../../protocol/roundState.ts';
import type { FederationState } from '../../protocol/roundState.ts';
import { encodeBlob } from '../../protocol/tensorBlob.ts';
import { verifyReceipt } from '../../protocol/verification.ts';
import type { VerificationContext } from '../../protocol/verification.ts';
import {
  aggregator,
  exampleFederation,
  exampleFigures,
  exampleManifest,
  exampleUpdate,
  hashOf,
  initialAdapter,
  initialBlob,
  NOW,
  owner,
  participants,
  stranger,
  updateMessage,
} from './exampleFederation.ts';

const federation = exampleFederation();
const [ann, ben, cid, dan] = participants as [Identity, Identity, Identity, Identity];

/** Round 1 as it was played: ann, ben and cid sent updates, dan's was refused. */
const updates = [
  { sender: ann, update: exampleUpdate(0.125) },
  { sender: ben, update: exampleUpdate(-0.5) },
  { sender: cid, update: exampleUpdate(1) },
];
const blobs = new Map<Sha256, Uint8Array>();
const envelopes = new Map<Sha256, Uint8Array>();
const keep = (bytes: Uint8Array): Sha256 => {
  const hash = sha256(bytes);
  blobs.set(hash, bytes);
  return hash;
};
keep(initialBlob);

function playRound(root: number): Extract<FederationState, { phase: 'published' | 'skipped' }> {
  let state: FederationState = initialState(exampleManifest(), NOW);
  for (const { id } of participants) {
    ({ state } = step(state, { type: 'joined', at: NOW, participant: id, request: hashOf('join') }));
  }
  const offerOf = (sender: Identity, bytes: Uint8Array, envelope: Sha256) => {
    const { parent, round } = state;
    const factor = factorOfRound(state);
    return {
      sender: sender.id,
      round,
      factor,
      parent,
      envelope,
      blob: keep(bytes),
      bytes: bytes.length,
      pairsBucket: 64,
    };
  };
  const tooLarge = exampleUpdate(100);
  const refusedMessage = updateMessage(dan, tooLarge);
  envelopes.set(refusedMessage.hash, refusedMessage.bytes);
  const refused = offerOf(dan, encodeBlob(tooLarge), refusedMessage.hash);
  ({ state } = step(state, { type: 'update-refused', at: NOW, offer: refused, code: 'NORM_EXCEEDED' }));
  for (const { sender, update } of updates) {
    const message = updateMessage(sender, update);
    envelopes.set(message.hash, message.bytes);
    const offer = offerOf(sender, encodeBlob(update), message.hash);
    ({ state } = step(state, { type: 'update-accepted', at: NOW + 1, offer }));
  }
  ({ state } = step(state, { type: 'tick', at: NOW + 60_000 }));
  const { blob, hash } = aggregateRound({
    rule: 'alternating',
    parameters: {},
    factor: 'B',
    parent: initialAdapter,
    ...inOrderOfHash(updates.map(({ update }) => update)),
  });
  keep(blob);
  const round = roundNumber(1);
  ({ state } = step(state, { type: 'aggregated', at: NOW, round, candidate: hash }));
  ({ state } = step(state, { type: 'evaluated', at: NOW, round, candidate: hash, figures: exampleFigures(root, 70) }));
  assert.ok(state.phase === 'published' || state.phase === 'skipped');
  return state;
}

const published = receiptOf(playRound(75), federation);
const context: VerificationContext = {
  federation,
  previous: null,
  blobs: (hash) => blobs.get(hash),
  envelopes: (hash) => envelopes.get(hash),
};

function verify(receipt: Receipt, changes: Partial<VerificationContext> = {}, signer = aggregator) {
  return verifyReceipt(signReceipt(signer, receipt).bytes, { ...context, ...changes });
}
function failuresOf(changes: Partial<Receipt>, ofContext: Partial<VerificationContext> = {}): ErrorCode[] {
  const receipt = { ...published, ...changes };
  const rooted = 'inputsRoot' in changes ? receipt : { ...receipt, inputsRoot: inputsRoot(receipt.updates) };
  return verify(rooted, ofContext).failures.map(({ code }) => code);
}
const own = { sender: ann.id, envelope: published.updates[0]!.envelope, blob: published.updates[0]!.blob };

describe('a receipt', () => {
  it('says what went in, what was done and what came out', () => {
    assert.equal(published.outcome, 'published');
    assert.deepEqual(
      published.updates.map(({ sender, verdict, code }) => [sender, verdict, code]),
      [
        [ann.id, 'accepted', null],
        [ben.id, 'accepted', null],
        [cid.id, 'accepted', null],
        [dan.id, 'refused', 'NORM_EXCEEDED'],
      ],
    );
    assert.equal(published.output, published.candidate);
    assert.notEqual(published.output, published.parent);
    assert.deepEqual(openReceipt(signReceipt(aggregator, published).bytes).content, published);
  });

  it('verifies, with every signature, hash and aggregate counted', () => {
    const { ok, checked, failures } = verify(published, { own });
    assert.deepEqual(failures, []);
    assert.ok(ok);
    assert.deepEqual(checked, { signatures: 5, hashes: 5, aggregates: 1, log: 1 });
  });

  it('verifies without blobs and messages, as far as that goes', () => {
    const { ok, checked } = verifyReceipt(signReceipt(aggregator, published).bytes, { federation, previous: null });
    assert.ok(ok);
    assert.deepEqual(checked, { signatures: 1, hashes: 1, aggregates: 0, log: 1 });
  });

  it('of a round that the gate refused keeps the parent, and verifies', () => {
    const skipped = receiptOf(playRound(60), federation);
    assert.deepEqual([skipped.outcome, skipped.reason, skipped.output], ['skipped', 'GATE_REFUSED', skipped.parent]);
    assert.deepEqual(verify(skipped).failures, []);
  });

  it('of a round without a quorum verifies', () => {
    const skipped: Partial<Receipt> = {
      outcome: 'skipped',
      reason: 'QUORUM_MISSED',
      updates: published.updates.slice(0, 1),
      candidate: null,
      output: published.parent,
      figures: null,
    };
    assert.deepEqual(failuresOf(skipped), []);
  });

  it('of as many participants as there may be fits a document', () => {
    const ids = Array.from({ length: LIMITS.participants.value }, () => ann.id);
    const list = ids.map((sender) => ({ ...published.updates[3]!, sender }));
    const { bytes } = signReceipt(aggregator, { ...published, cohort: ids, updates: list });
    assert.ok(bytes.length < LIMITS.document.value, `${bytes.length} bytes`);
    assert.equal(openReceipt(bytes).content.updates.length, ids.length);
  });

  it('links to the one before it', () => {
    const previous = openReceipt(signReceipt(aggregator, published).bytes);
    const next = {
      round: roundNumber(2),
      previous: previous.hash,
      parent: previous.content.output,
      factor: 'A' as const,
    };
    const failures = failuresOf(next, { previous });
    assert.ok(!failures.includes('BROKEN_CHAIN'), failures.join());
    assert.ok(failuresOf({ ...next, previous: hashOf('another history') }, { previous }).includes('BROKEN_CHAIN'));
    assert.ok(failuresOf({ ...next, round: roundNumber(3) }, { previous }).includes('BROKEN_CHAIN'));
    assert.ok(failuresOf({ ...next, parent: sha256(initialBlob) }, { previous }).includes('BROKEN_CHAIN'));
    assert.ok(failuresOf({}, { previous }).includes('BROKEN_CHAIN'), 'the same round again');
  });
});

describe('verification refuses', () => {
  it('a signature by anyone but an aggregator of the manifest', () => {
    for (const signer of [owner, ann, stranger]) {
      assert.deepEqual(
        verify(published, {}, signer).failures.map(({ code }) => code),
        ['WRONG_AGGREGATOR'],
      );
    }
  });

  it('a receipt of which one bit was flipped', () => {
    const { bytes } = signReceipt(aggregator, published);
    for (let at = 0; at < bytes.length; at += 5) {
      const changed = Uint8Array.from(bytes);
      changed[at]! ^= 1;
      const { ok, failures } = verifyReceipt(changed, context);
      assert.ok(!ok && failures.length > 0, `byte ${at}`);
    }
  });

  it('a receipt of another federation', () => {
    assert.deepEqual(failuresOf({ federation: hashOf('another') }, { envelopes: undefined! }), ['WRONG_FEDERATION']);
  });

  it('a Merkle root that is not that of the list', () => {
    assert.deepEqual(failuresOf({ inputsRoot: hashOf('another') }), ['RECEIPT_ROOT']);
  });

  it('an update that was left out', () => {
    const without = published.updates.filter(({ sender }) => sender !== ann.id);
    assert.deepEqual(failuresOf({ updates: without }), ['WRONG_AGGREGATE']);
    assert.deepEqual(failuresOf({ updates: without }, { own }), ['NOT_INCLUDED', 'WRONG_AGGREGATE']);
  });

  it('an own update that is listed as refused, or with another blob', () => {
    const [first, ...rest] = published.updates as [Receipt['updates'][0]];
    const refused = { ...first, verdict: 'refused' as const, code: 'NOT_FINITE' };
    assert.deepEqual(failuresOf({ updates: [refused, ...rest] }, { own }), ['NOT_INCLUDED', 'WRONG_AGGREGATE']);
    const swapped = { ...first, blob: published.updates[1]!.blob };
    assert.deepEqual(failuresOf({ updates: [swapped, ...rest] }, { own }), [
      'NOT_INCLUDED',
      'FORGED_UPDATE',
      'WRONG_AGGREGATE',
    ]);
  });

  it('an update that its sender did not send', () => {
    const entries = [...published.updates];
    const message = updateMessage(stranger, exampleUpdate(0.25));
    envelopes.set(message.hash, message.bytes);
    const forged = { ...entries[0]!, envelope: message.hash };
    assert.deepEqual(failuresOf({ updates: [forged, ...entries.slice(1)] }), ['FORGED_UPDATE']);
    const unknown = { ...entries[0]!, envelope: hashOf('made up') };
    assert.deepEqual(failuresOf({ updates: [unknown, ...entries.slice(1)] }), ['ENVELOPE_UNAVAILABLE']);
  });

  it('an update that was sent for another round, factor or parent', () => {
    const entries = [...published.updates];
    for (const changes of [
      { federation: hashOf('x') },
      { round: roundNumber(2) },
      { factor: 'A' as const },
      { parent: hashOf('old') },
    ]) {
      const message = updateMessage(ann, exampleUpdate(0.125), changes);
      envelopes.set(message.hash, message.bytes);
      const moved = { ...entries[0]!, envelope: message.hash };
      assert.deepEqual(failuresOf({ updates: [moved, ...entries.slice(1)] }), ['FORGED_UPDATE']);
    }
  });

  it('an output that the updates do not give', () => {
    const output = hashOf('another adapter');
    assert.deepEqual(failuresOf({ output, candidate: output }), ['WRONG_AGGREGATE']);
    assert.deepEqual(failuresOf({ output }), ['RECEIPT_TERMS']);
  });

  it('an accepted update that had to be refused', () => {
    const updatesOf = published.updates.map((update) => ({ ...update, verdict: 'accepted' as const, code: null }));
    assert.deepEqual(failuresOf({ updates: updatesOf }), ['INADMISSIBLE_UPDATE']);
  });

  it('blobs that are not at hand, or are not what their names say', () => {
    assert.deepEqual(failuresOf({}, { blobs: () => undefined }), ['BLOB_UNAVAILABLE']);
    assert.deepEqual(failuresOf({}, { blobs: () => initialBlob }), ['BLOB_MISMATCH']);
  });

  const worse = exampleFigures(60, 70);
  const { root, rootParent } = exampleFigures();
  const larger = { ...exampleFigures(), root: { ...root, pairs: 101 }, rootParent: { ...rootParent, pairs: 101 } };
  const against: Record<string, Partial<Receipt>> = {
    'another rule': { aggregation: { rule: 'mean', parameters: {} } },
    'parameters that the rule has not': { aggregation: { rule: 'alternating', parameters: { power: 2 } } },
    'a cohort out of order': { cohort: published.cohort.toReversed() },
    'more participants than the manifest allows': { cohort: [...published.cohort, stranger.id].sort() },
    'figures of more pairs than the root set has': { figures: larger },
    'an update from outside the cohort': { cohort: published.cohort.slice(1) },
    'two updates of one participant': { updates: [published.updates[0]!, ...published.updates] },
    'a refusal without its code': { updates: published.updates.map((update) => ({ ...update, code: null })) },
    'published with a reason to skip': { reason: 'GATE_REFUSED' },
    'published although the gate refuses': { figures: worse },
    'published without figures': { figures: null },
    'published below the quorum': { updates: published.updates.slice(2) },
    'skipped without a reason': { outcome: 'skipped', output: published.parent },
    'skipped by the gate although it passes': { outcome: 'skipped', reason: 'GATE_REFUSED', output: published.parent },
    'skipped for its quorum although it has one': {
      outcome: 'skipped',
      reason: 'QUORUM_MISSED',
      output: published.parent,
      candidate: null,
    },
    'skipped but with a new adapter': { outcome: 'skipped', reason: 'GATE_REFUSED', figures: worse },
  };
  for (const [name, changes] of Object.entries(against)) {
    it(`a round against the manifest: ${name}`, () => {
      const failures = failuresOf(changes, { blobs: undefined!, envelopes: undefined! });
      assert.deepEqual(failures, ['RECEIPT_TERMS']);
    });
  }

  it('the other factor, and a round that the manifest does not have', () => {
    assert.ok(failuresOf({ factor: 'A' }).includes('RECEIPT_TERMS'));
    assert.ok(failuresOf({ round: roundNumber(5), factor: 'B' }).includes('RECEIPT_TERMS'));
  });

  it('a round that is said to be impossible to aggregate although it is not', () => {
    const changes: Partial<Receipt> = {
      outcome: 'skipped',
      reason: 'OUT_OF_RANGE',
      candidate: null,
      output: published.parent,
      figures: null,
    };
    assert.deepEqual(failuresOf(changes), ['WRONG_AGGREGATE']);
  });
});
