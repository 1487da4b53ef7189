import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ParticipantStore } from '../../../node/participant/store.ts';
import { roundNumber } from '../../../protocol/names.ts';
import { exampleFederation, hashOf, NOW } from '../../protocol/exampleFederation.ts';

const federation = exampleFederation();
const { hash } = federation;
const ONE = roundNumber(1);

describe("a participant's memory", () => {
  let folder: string;
  let file: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'prefmesh-store-'));
    file = join(folder, 'state.sqlite');
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  const joined = (store: ParticipantStore, pairs = 'pairs.jsonl') =>
    store.join({
      federation,
      consent: hash,
      pairs: { file: pairs, sha256: hashOf(pairs), count: 20 },
      model: null,
      addresses: ['/ip4/127.0.0.1/tcp/4001'],
      invite: Uint8Array.of(1, 2),
      joinedAt: NOW,
    });
  const update = { round: ONE, factor: 'B', parent: hashOf('parent'), blob: hashOf('blob'), bytes: 7 } as const;

  it('gives back a membership after it was closed', () => {
    {
      using store = ParticipantStore.open(file);
      joined(store);
      store.setStanding(hash, { round: ONE, phase: 'training', aggregator: 'a', heardAt: NOW });
      store.countBytes(hash, 5, 6);
    }
    using store = ParticipantStore.open(file, { readOnly: true });
    const [membership] = store.memberships();
    assert.equal(membership!.federation.hash, hash);
    assert.deepEqual(
      [membership!.bytesSent, membership!.bytesReceived, membership!.standing?.phase],
      [5, 6, 'training'],
    );
    assert.deepEqual([...membership!.invite!], [1, 2]);
  });

  it('notes what keeps it from going on until it goes on', () => {
    using store = ParticipantStore.open(file);
    joined(store);
    const trouble = { code: 'COSIGNATURES_MISSING', problem: 'none yet', fix: 'wait', since: NOW } as const;
    store.setTrouble(hash, trouble);
    assert.equal(store.membership(hash)!.standing, null, 'it has heard of no round yet');
    const standing = { round: ONE, phase: 'training', aggregator: 'a', heardAt: NOW };
    store.setStanding(hash, standing);
    store.setTrouble(hash, trouble);
    assert.deepEqual(store.membership(hash)!.standing, { ...standing, trouble });
    store.setStanding(hash, standing);
    assert.deepEqual(store.membership(hash)!.standing, standing);
  });

  it('binds itself to one update a round', () => {
    using store = ParticipantStore.open(file);
    store.recordUpdate(hash, update);
    assert.throws(() => store.recordUpdate(hash, { ...update, blob: hashOf('another') }), /UNIQUE/);
    assert.equal(store.update(hash, ONE)!.blob, update.blob);
    assert.equal(store.update(hash, ONE)!.status, 'made');
  });

  it('remembers every message that offered an update, in order', () => {
    using store = ParticipantStore.open(file);
    const sent = ['c', 'a', 'b'].map(hashOf);
    for (const envelope of sent) store.recordOffer(hash, ONE, { hash: envelope, bytes: Buffer.from(envelope) });
    assert.deepEqual(store.offers(hash, ONE), sent);
    assert.deepEqual(store.offers(hash, roundNumber(2)), []);
  });

  it('keeps the acknowledgement of an update beside the message that it answers', () => {
    {
      using store = ParticipantStore.open(file);
      store.recordUpdate(hash, update);
      for (const name of ['lost', 'answered']) {
        store.recordOffer(hash, ONE, { hash: hashOf(name), bytes: Buffer.from(name) });
      }
      const acknowledgement = Uint8Array.of(1, 2, 3);
      store.answerUpdate(hash, ONE, null, { offer: hashOf('answered'), acknowledgement });
    }
    using store = ParticipantStore.open(file);
    const [kept, ...more] = store.acknowledged(hash);
    assert.deepEqual([kept!.round, more.length], [ONE, 0]);
    assert.equal(Buffer.from(kept!.message).toString(), 'answered');
    assert.deepEqual([...kept!.acknowledgement], [1, 2, 3]);
    assert.deepEqual(store.acknowledged(hashOf('another federation')), []);
  });

  it('keeps what was done when somebody joins again with other pairs after leaving', () => {
    using store = ParticipantStore.open(file);
    joined(store);
    store.recordUpdate(hash, update);
    store.answerUpdate(hash, ONE, null);
    store.setStatus(hash, 'left');
    joined(store, 'more.jsonl');
    const membership = store.membership(hash)!;
    assert.deepEqual([membership.status, membership.pairs.file], ['active', 'more.jsonl']);
    assert.equal(store.update(hash, ONE)!.status, 'accepted');
  });
});
