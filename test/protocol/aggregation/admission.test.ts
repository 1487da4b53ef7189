import assert from 'node:assert/strict';
import { admitBlob, checkOffer } from '../../../protocol/aggregation/admission.ts';
import type { AdmissionTerms } from '../../../protocol/aggregation/admission.ts';
import type { ErrorCode, PrefmeshError } from '../../../protocol/errors.ts';
import { roundNumber, sha256 } from '../../../protocol/names.ts';
import { step } from '../../../protocol/round.ts';
import { initialState } from '../../../protocol/roundState.ts';
import type { FederationState, UpdateOffer } from '../../../protocol/roundState.ts';
import { encodeBlob } from '../../../protocol/tensorBlob.ts';
import {
  exampleManifest,
  exampleUpdate,
  hashOf,
  initialAdapter,
  initialBlob,
  NOW,
  participants,
  stranger,
} from '../exampleFederation.ts';
import { assertRefused } from '../refusal.ts';

type Id = UpdateOffer['sender'];

const terms: AdmissionTerms = { parent: initialAdapter, factor: 'B', normBound: 10 };

function blobRefusal(bytes: Uint8Array, hash = sha256(bytes), changes: Partial<AdmissionTerms> = {}): ErrorCode | null {
  const verdict = admitBlob(bytes, hash, { ...terms, ...changes });
  return verdict.accepted ? null : verdict.problem.code;
}

describe('admission of a blob', () => {
  const bytes = encodeBlob(exampleUpdate(0.25));

  it('lets a fitting update in and gives its norm', () => {
    const verdict = admitBlob(bytes, sha256(bytes), terms);
    assert.ok(verdict.accepted);
    assert.equal(verdict.norm, Math.sqrt(8 * 0.25 ** 2));
    assert.deepEqual(verdict.update, exampleUpdate(0.25));
  });

  it('refuses bytes of another hash', () => assert.equal(blobRefusal(bytes, hashOf('another')), 'BLOB_MISMATCH'));

  it('refuses more bytes than the tensors take, before it hashes them', () => {
    assert.equal(blobRefusal(Buffer.concat([bytes, Buffer.alloc(1)]), hashOf('another')), 'OVERSIZED');
  });

  it('refuses what is no blob', () => assert.equal(blobRefusal(Buffer.from('no blob')), 'MALFORMED_BLOB'));

  it('refuses the tensors of the other factor', () => {
    assert.equal(blobRefusal(encodeBlob(exampleUpdate(0.25, 'A'))), 'WRONG_TENSOR_TABLE');
  });

  it('refuses a value that is no number', () => {
    const spoilt = Uint8Array.from(bytes);
    spoilt.set([0, 0, 0, 0x80], spoilt.length - 4);
    assert.equal(blobRefusal(spoilt), 'NOT_FINITE');
  });

  it('refuses a norm above the bound and takes the bound', () => {
    const update = encodeBlob(exampleUpdate(0.5));
    assert.equal(blobRefusal(update, undefined, { normBound: Math.sqrt(2) }), null);
    assert.equal(blobRefusal(update, undefined, { normBound: 1.41421 }), 'NORM_EXCEEDED');
  });

  it('does not blame the peer for a fault of its own', () => {
    const broken = { ...initialAdapter, table: [{ name: 'no factor', shape: [1] }] };
    assertRefused(() => admitBlob(bytes, sha256(bytes), { ...terms, parent: broken }), 'WRONG_TENSOR_TABLE');
    assert.throws(() => admitBlob(null as unknown as Uint8Array, hashOf('x'), terms), TypeError);
  });
});

describe('admission of an offer', () => {
  const [ann, ben, cid, dan] = participants.map(({ id }) => id) as [Id, Id, Id, Id];

  /** Training: ann, ben and cid in the cohort, dan joined too late. */
  function training(): FederationState {
    let state = initialState(exampleManifest(), NOW);
    for (const participant of [ann, ben, cid]) {
      ({ state } = step(state, { type: 'joined', at: NOW, participant, request: hashOf('join') }));
    }
    ({ state } = step(state, { type: 'tick', at: NOW + 1_000 }));
    assert.equal(state.phase, 'training');
    return step(state, { type: 'joined', at: NOW + 1_000, participant: dan, request: hashOf('join') }).state;
  }

  const offer = (changes: Partial<UpdateOffer> = {}): UpdateOffer => ({
    sender: ann,
    round: roundNumber(1),
    factor: 'B',
    parent: sha256(initialBlob),
    envelope: hashOf('envelope'),
    blob: hashOf('blob'),
    bytes: 100,
    pairsBucket: 64,
    ...changes,
  });
  const accepted = (state: FederationState, changes: Partial<UpdateOffer> = {}) =>
    step(state, { type: 'update-accepted', at: NOW + 2_000, offer: offer(changes) }).state;
  const refusal = (verdict: ReturnType<typeof checkOffer>) => (verdict as PrefmeshError).code;

  it('lets a fitting offer in', () => assert.equal(checkOffer(training(), offer(), NOW + 2_000), 'fits'));

  it('refuses another round', () => {
    assert.equal(refusal(checkOffer(training(), offer({ round: roundNumber(2) }), NOW + 2_000)), 'WRONG_ROUND');
    assert.equal(refusal(checkOffer(training(), offer({ round: roundNumber(0) }), NOW + 2_000)), 'WRONG_ROUND');
  });

  it('refuses who was not there when the round began', () => {
    assert.equal(refusal(checkOffer(training(), offer({ sender: dan }), NOW + 2_000)), 'NOT_IN_COHORT');
    assert.equal(refusal(checkOffer(training(), offer({ sender: stranger.id }), NOW + 2_000)), 'NOT_IN_COHORT');
  });

  it('knows the same update again, and refuses a second one', () => {
    const state = accepted(training());
    assert.equal(checkOffer(state, offer({ envelope: hashOf('signed anew') }), NOW + 2_000), 'accepted before');
    assert.equal(refusal(checkOffer(state, offer({ blob: hashOf('other') }), NOW + 2_000)), 'DUPLICATE_UPDATE');
  });

  it('refuses an update from the deadline on, but still knows the one it has', () => {
    const late = NOW + 1_000 + 60_000;
    assert.equal(checkOffer(training(), offer(), late - 1), 'fits');
    assert.equal(refusal(checkOffer(training(), offer(), late)), 'ROUND_CLOSED');
    assert.equal(checkOffer(accepted(training()), offer(), late), 'accepted before');
  });

  it('refuses updates before the round begins and after it closes', () => {
    const open = initialState(exampleManifest(), NOW);
    assert.equal(refusal(checkOffer(open, offer(), NOW)), 'ROUND_CLOSED');
    const closed = step(accepted(accepted(training()), { sender: ben }), { type: 'tick', at: NOW + 61_000 }).state;
    assert.equal(closed.phase, 'aggregating');
    assert.equal(refusal(checkOffer(closed, offer({ sender: cid }), NOW + 2_000)), 'ROUND_CLOSED');
    assert.equal(checkOffer(closed, offer(), NOW + 70_000), 'accepted before');
  });

  it('refuses the other factor and another parent', () => {
    assert.equal(refusal(checkOffer(training(), offer({ factor: 'A' }), NOW + 2_000)), 'WRONG_FACTOR');
    assert.equal(refusal(checkOffer(training(), offer({ parent: hashOf('old') }), NOW + 2_000)), 'WRONG_PARENT');
  });
});
