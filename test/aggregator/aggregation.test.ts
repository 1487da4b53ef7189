import assert from 'node:assert/strict';
import { multiaddr } from '@multiformats/multiaddr';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { aggregateBlobs } from '../../aggregator/aggregation.ts';
import { LostUpdate, type AggregateEffect } from '../../aggregator/rounds.ts';
import { verifyHere, verifyInThread, type VerificationTask } from '../../node/participant/roundVerification.ts';
import { BlobStore } from '../../node/storage/blobs.ts';
import { isPrefmeshError } from '../../protocol/errors.ts';
import { LIMITS } from '../../protocol/limits.ts';
import { roundNumber, sha256 } from '../../protocol/names.ts';
import { aggregateRound, inOrderOfHash } from '../../protocol/aggregation/aggregate.ts';
import { receiptOf, signReceipt } from '../../protocol/receipt.ts';
import { initialState, type PublishedRound } from '../../protocol/roundState.ts';
import { encodeBlob, type FixedPointTensors } from '../../protocol/tensorBlob.ts';
import { startHost } from '../node/network/hosts.ts';
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
  participants,
} from '../protocol/exampleFederation.ts';

const signal = new AbortController().signal;
const manifest = exampleManifest();

describe('a round over stored blobs', function () {
  this.timeout(60_000);
  let folder: string;
  let blobs: BlobStore;
  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'prefmesh-aggregation-'));
    blobs = await BlobStore.open(folder);
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  async function effectOf(parent: FixedPointTensors, updates: readonly FixedPointTensors[]): Promise<AggregateEffect> {
    const stored = [];
    for (const update of updates) stored.push(await blobs.put(encodeBlob(update)));
    return {
      type: 'aggregate',
      round: roundNumber(1),
      rule: 'alternating',
      factor: 'B',
      parent: await blobs.put(encodeBlob(parent)),
      optimizerState: null,
      blobs: stored.sort(),
    };
  }

  it('gives what the rule gives, and stores it', async () => {
    const updates = [exampleUpdate(0.125), exampleUpdate(-0.5), exampleUpdate(1)];
    const { candidate: hash } = await aggregateBlobs(
      await effectOf(initialAdapter, updates),
      { manifest, blobs },
      signal,
    );
    const expected = aggregateRound({
      rule: 'alternating',
      parameters: {},
      factor: 'B',
      parent: initialAdapter,
      ...inOrderOfHash(updates),
    });
    assert.equal(hash, expected.hash);
    assert.deepEqual(new Uint8Array(await blobs.read(hash)), new Uint8Array(expected.blob));
  });

  it('gives the same from a thread of its own, where it is large', async () => {
    const side = 1024;
    const tensor = (factor: string) => `base_model.model.model.layers.0.mlp.up_proj.lora_${factor}.weight`;
    const table = [
      { name: tensor('A'), shape: [2, 8] },
      { name: tensor('B'), shape: [side, side] },
    ];
    const large = (fill: number, tensors = table): FixedPointTensors => {
      const length = tensors.reduce((sum, { shape }) => sum + shape[0]! * shape[1]!, 0);
      return { bits: 16, table: tensors, values: new Int32Array(length).fill(fill) };
    };
    const parent = large(5);
    const updates = [large(1, [table[1]!]), large(4, [table[1]!])];
    assert.ok(updates.length * 4 * side * side > LIMITS.inlineAggregation.value, 'not large enough for a thread');
    const { candidate: hash } = await aggregateBlobs(await effectOf(parent, updates), { manifest, blobs }, signal);
    const expected = aggregateRound({
      rule: 'alternating',
      parameters: {},
      factor: 'B',
      parent,
      ...inOrderOfHash(updates),
    });
    assert.equal(hash, expected.hash);

    const overflow = [large(2 ** 31 - 1, [table[1]!])];
    await assert.rejects(
      aggregateBlobs(await effectOf(large(1), [...overflow, ...overflow]), { manifest, blobs }, signal),
      (error) => isPrefmeshError(error, 'OUT_OF_RANGE'),
    );
  });

  it('leaves the event loop free meanwhile: pings are answered', async () => {
    const table = [
      { name: 'base_model.model.model.layers.0.mlp.up_proj.lora_A.weight', shape: [2, 1024] },
      { name: 'base_model.model.model.layers.0.mlp.up_proj.lora_B.weight', shape: [1024 * 512, 2] },
    ];
    const filled = (fill: (i: number) => number, tensors: typeof table): FixedPointTensors => {
      const length = tensors.reduce((sum, { shape }) => sum + shape[0]! * shape[1]!, 0);
      return { bits: 16, table: tensors, values: Int32Array.from({ length }, (_, i) => fill(i)) };
    };
    const parent = filled((i) => i % 7, table);
    const updates = Array.from({ length: 7 }, (_, n) => filled((i) => ((i * (n + 3)) % 101) - 50, [table[1]!]));
    const effect: AggregateEffect = { ...(await effectOf(parent, updates)), rule: 'robust' };
    let [checked, stored] = [0, false];
    const [verify, put] = [blobs.verify.bind(blobs), blobs.put.bind(blobs)];
    blobs.verify = async (hash) => {
      await verify(hash);
      checked++;
    };
    blobs.put = (bytes) => {
      stored = true;
      return put(bytes);
    };
    const [asked, asking] = [await startHost(), await startHost({ listen: [] })];
    try {
      const terms = exampleManifest({ aggregation: { rule: 'robust', parameters: { byzantineShare: 0.2 } } });
      const done = aggregateBlobs(effect, { manifest: terms, blobs }, signal);
      let answered = 0;
      while (!stored) {
        await asking.libp2p.services.ping.ping(multiaddr(asked.addresses[0]!));
        if (checked === updates.length) answered++;
      }
      await done;
      // Between what is read and what is written there is nothing but arithmetic; on the spot it would answer none.
      assert.ok(answered >= 20, `${answered} pings were answered`);
    } finally {
      await Promise.all([asked.stop(), asking.stop()]);
    }
  });

  it('names an update that the disk has lost or damaged', async () => {
    const effect = await effectOf(initialAdapter, [exampleUpdate(1), exampleUpdate(2)]);
    const [damaged] = effect.blobs;
    writeFileSync(join(folder, damaged!), 'rubbish');
    await assert.rejects(aggregateBlobs(effect, { manifest, blobs }, signal), (error) => {
      return error instanceof LostUpdate && error.blob === damaged;
    });
  });

  describe('its verification', () => {
    /** A round that two took part in, on disk, and the task of verifying its receipt. */
    async function played(): Promise<{ task: VerificationTask; blob: string }> {
      const federation = exampleFederation();
      const senders = participants.slice(0, 2);
      const updates = [exampleUpdate(0.125), exampleUpdate(-0.5)];
      const effect = await effectOf(initialAdapter, updates);
      const { candidate } = await aggregateBlobs(effect, { manifest, blobs }, signal);
      const accepted = senders.map(({ id }, i) => {
        const blob = sha256(encodeBlob(updates[i]!));
        return { sender: id, envelope: hashOf(`offer of ${id}`), blob, bytes: 1, pairsBucket: 8 };
      });
      const { round: _, ...base } = initialState(federation.content, NOW);
      const ended = {
        ...base,
        phase: 'published',
        round: roundNumber(1),
        startedAt: NOW,
        deadline: NOW + 1000,
        closedAt: NOW + 500,
        closedUnder: null,
        cohort: senders.map(({ id }) => id),
        accepted,
        refused: [],
        candidate,
        candidateState: null,
        figures: exampleFigures(),
      } as unknown as PublishedRound;
      assert.equal(sha256(initialBlob), effect.parent);
      const receipt = signReceipt(aggregator, receiptOf(ended, federation)).bytes;
      const own = { sender: accepted[0]!.sender, envelope: accepted[0]!.envelope, blob: accepted[0]!.blob };
      const task = { receipt, manifest: federation.bytes, previous: null, own, blobs: folder, envelopes: null };
      return { task, blob: accepted[0]!.blob };
    }

    it('finds a true round right, here and in a thread of its own', async () => {
      const { task } = await played();
      const here = verifyHere(task);
      assert.deepEqual(here.failures, []);
      const there = await verifyInThread(task);
      assert.deepEqual(there.checked, here.checked);
      assert.deepEqual(there.receipt?.hash, here.receipt?.hash);
      assert.equal(here.checked.aggregates, 1);
    });

    it('says the same of what is wrong, here and in a thread of its own', async () => {
      const { task, blob } = await played();
      rmSync(join(folder, blob));
      const spoilt = { ...task, own: { ...task.own!, envelope: hashOf('another message') } };
      const here = verifyHere(spoilt);
      const there = await verifyInThread(spoilt);
      assert.deepEqual(
        there.failures.map(({ code, message }) => [code, message]),
        here.failures.map(({ code, message }) => [code, message]),
      );
      assert.deepEqual(
        here.failures.map(({ code }) => code),
        ['NOT_INCLUDED', 'BLOB_UNAVAILABLE'],
      );
    });
  });
});
