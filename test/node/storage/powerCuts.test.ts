import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openCheckpoint } from '../../../node/model/checkpoint.ts';
import { adoptAdapter, currentAdapter } from '../../../node/participant/adapterFolders.ts';
import { AppendedFile } from '../../../node/storage/appendedFile.ts';
import { writeFileAtomic } from '../../../node/storage/atomicFile.ts';
import { BlobStore } from '../../../node/storage/blobs.ts';
import { DataFolder } from '../../../node/storage/dataFolder.ts';
import { openIdentity } from '../../../node/storage/keys.ts';
import { readPeftAdapter } from '../../../node/training/peft.ts';
import { loadTraining, saveTraining } from '../../../node/training/trainingState.ts';
import { isPrefmeshError } from '../../../protocol/errors.ts';
import type { Sha256 } from '../../../protocol/names.ts';
import { verifiedAdapter } from '../participant/verifiedAdapter.ts';
import { MODEL } from '../../aggregator/federationFixture.ts';
import { cutEverywhere, record, syncsIn, type DurableOperation } from './crashTrial.ts';

const CHUNK = 1000;
const BLOB = Buffer.from(Array.from({ length: 2 * CHUNK + 10 }, (_, i) => (i * 7) % 256));
const BLOB_HASH = createHash('sha256').update(BLOB).digest('hex') as Sha256;

const course = { inputs: { pairs: 'abc' }, options: { seed: 1 } };
const trainingAt = (step: number) => {
  const vector = Float32Array.of(step, 2, 3);
  const optimizer = { firstMoment: vector, secondMoment: vector, step };
  const training = { chosen: Float64Array.of(-1), rejected: Float64Array.of(-2) };
  return {
    state: { step, tokens: step, adapter: vector, optimizer },
    best: null,
    evaluated: null,
    references: { training, watched: null },
  };
};

/** Takes in the rest of a blob as a receiver does, dropping a poisoned beginning once. */
async function receiveRest(store: BlobStore): Promise<void> {
  if (await store.has(BLOB_HASH)) return;
  await using partial = await store.receive(BLOB_HASH, BLOB.length, CHUNK);
  await partial.append(BLOB.subarray(partial.resumedAt));
  await partial.finish();
}

const OPERATIONS: Record<string, DurableOperation> = {
  'a file replaced in one step': {
    prepare: (disk) => writeFileAtomic(join(disk, 'file'), 'old content'),
    perform: async (disk, acknowledge) => {
      await writeFileAtomic(join(disk, 'file'), 'the new content');
      acknowledge('the new content');
    },
    recover: async (disk, [acknowledged]) => {
      const content = await readFile(join(disk, 'file'), 'utf8');
      assert.ok(content === 'the new content' || (acknowledged === undefined && content === 'old content'), content);
    },
  },
  'a stored blob': {
    prepare: (disk) => BlobStore.open(join(disk, 'blobs')),
    perform: async (disk, acknowledge) => acknowledge(await (await BlobStore.open(join(disk, 'blobs'))).put(BLOB)),
    recover: async (disk, acknowledged) => {
      const store = await BlobStore.open(join(disk, 'blobs'));
      for (const hash of [...acknowledged, ...(await store.list())]) await store.verify(hash as Sha256);
    },
  },
  'a received blob': {
    prepare: (disk) => BlobStore.open(join(disk, 'blobs')),
    perform: async (disk, acknowledge) => {
      const store = await BlobStore.open(join(disk, 'blobs'));
      await using partial = await store.receive(BLOB_HASH, BLOB.length, CHUNK);
      for (let at = 0; at < BLOB.length; at += CHUNK) await partial.append(BLOB.subarray(at, at + CHUNK));
      await partial.finish();
      acknowledge(BLOB_HASH);
    },
    recover: async (disk, acknowledged) => {
      const store = await BlobStore.open(join(disk, 'blobs'));
      for (const hash of [...acknowledged, ...(await store.list())]) await store.verify(hash as Sha256);
      await receiveRest(store).catch(async (error: unknown) => {
        assert.ok(isPrefmeshError(error, 'BLOB_MISMATCH'), String(error));
        await receiveRest(store);
      });
      await store.verify(BLOB_HASH);
    },
  },
  'the key of a new data folder': {
    perform: async (disk, acknowledge) => {
      using folder = await DataFolder.open(join(disk, 'home'));
      acknowledge((await openIdentity(folder)).id);
    },
    recover: async (disk, [acknowledged]) => {
      using folder = await DataFolder.open(join(disk, 'home'));
      const { id } = await openIdentity(folder);
      assert.ok(acknowledged === undefined || id === acknowledged, 'another key');
    },
    spare: [...Array.from({ length: 6 }, (_, i) => `home #${i + 1}`), 'home/.lock.pid #1'],
  },
  'an adopted adapter': {
    prepare: (disk) => mkdir(join(disk, 'adapters')),
    perform: async (disk, acknowledge) => {
      for (const round of [1, 2]) {
        await adoptAdapter(join(disk, 'adapters', 'federation'), (await verifiedAdapter(round)).adopted);
        acknowledge(`round-${round}`);
      }
    },
    recover: async (disk, acknowledged) => {
      const current = currentAdapter(join(disk, 'adapters', 'federation'));
      const last = acknowledged.at(-1);
      if (current === null) return assert.equal(last, undefined, 'nothing is in use');
      await readPeftAdapter(current, (await openCheckpoint(MODEL)).config);
      assert.ok(
        last === undefined || current.endsWith(last) || current.endsWith('round-2'),
        `${current} after ${last}`,
      );
    },
    spare: ['adapters/federation #1', 'adapters/federation #4'].concat(
      [1, 2].flatMap((round) => {
        const draft = `adapters/federation/round-${round}.partial`;
        return [`${draft} #1`, `${draft} #2`, `${draft}/.README.md #1`];
      }),
    ),
  },
  'a saved training run': {
    prepare: (disk) => mkdir(join(disk, 'adapter')),
    perform: async (disk, acknowledge) => {
      for (const step of [1, 2]) {
        await saveTraining(join(disk, 'adapter'), course, trainingAt(step));
        acknowledge(String(step));
      }
    },
    recover: async (disk, acknowledged) => {
      const loaded = await loadTraining(join(disk, 'adapter'), course, 3);
      assert.ok((loaded?.state.step ?? 0) >= Number(acknowledged.at(-1) ?? 0), 'an older state');
      assert.equal(loaded?.damaged.length ?? 0, 0, 'a damaged state');
    },
  },
  'an appended log': {
    perform: async (disk, acknowledge) => {
      await using log = await AppendedFile.open(join(disk, 'log'), () => 0);
      for (const record of ['first\n', 'second\n']) {
        await log.append(Buffer.from(record));
        await log.sync();
        acknowledge(record);
      }
    },
    recover: async (disk, acknowledged) => {
      if (acknowledged.length === 0) return;
      const content = await readFile(join(disk, 'log'), 'utf8');
      assert.ok(content.startsWith(acknowledged.join('')), content);
    },
  },
};

describe('a power cut', function () {
  this.timeout(180_000);

  for (const [name, operation] of Object.entries(OPERATIONS)) {
    it(`leaves ${name} whole wherever it falls, and would not without any one of the syncs`, async () => {
      const recording = await record(operation);
      const states = await cutEverywhere(operation, recording);
      assert.ok(states > 5, `only ${states} states`);
      const { spare = [] } = operation;
      const syncs = syncsIn(recording);
      for (const of of spare)
        assert.ok(
          syncs.some((sync) => sync.of === of),
          `no sync of ${of}`,
        );
      const needed = syncs.filter(({ of }) => !spare.includes(of));
      assert.ok(needed.length >= 2);
      for (const { step, of } of needed) {
        await assert.rejects(cutEverywhere(operation, recording, step), `nothing is lost without the sync of ${of}`);
      }
    });
  }
});
