import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFile, readdir, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { BlobStore } from '../../../node/storage/blobs.ts';
import { type Sha256, sha256 } from '../../../protocol/names.ts';
import { scratchFolder } from './scratch.ts';

const CHUNK = 1000;

describe('the blob store', () => {
  it('keeps bytes under their SHA-256, whole or as a stream, with mode 0600', async () => {
    await using scratch = await scratchFolder();
    const store = await BlobStore.open(scratch.path);
    const bytes = randomBytes(300_000);
    async function* pieces() {
      for (let at = 0; at < bytes.length; at += 65_536) yield bytes.subarray(at, at + 65_536);
    }
    const hash = await store.put(bytes);
    assert.equal(hash, sha256(bytes));
    assert.equal(await store.put(pieces()), hash);
    assert.equal(await store.size(hash), bytes.length);
    assert.deepEqual(Buffer.from(await store.read(hash)), bytes);
    assert.deepEqual(await store.list(), [hash]);
    assert.equal((await stat(join(scratch.path, hash))).mode & 0o777, 0o600);
  });

  it('keeps an empty blob', async () => {
    await using scratch = await scratchFolder();
    const store = await BlobStore.open(scratch.path);
    const hash = await store.put(new Uint8Array());
    assert.equal((await store.read(hash)).length, 0);
  });

  it('reads ranges, and fewer bytes only at the end', async () => {
    await using scratch = await scratchFolder();
    const store = await BlobStore.open(scratch.path);
    const bytes = randomBytes(2500);
    const hash = await store.put(bytes);
    await using reader = await store.open(hash);
    assert.equal(reader.size, 2500);
    assert.deepEqual(Buffer.from(await reader.read(1000, 1000)), bytes.subarray(1000, 2000));
    assert.deepEqual(Buffer.from(await reader.read(2000, 1000)), bytes.subarray(2000));
    assert.equal((await reader.read(2500, 10)).length, 0);
  });

  it('refuses a stream that grows over its bound and keeps nothing of it', async () => {
    await using scratch = await scratchFolder();
    const store = await BlobStore.open(scratch.path);
    await assert.rejects(store.put(new Uint8Array(11), { maxBytes: 10 }), { code: 'BLOB_TOO_LARGE' });
    assert.deepEqual(await readdir(scratch.path), ['quarantine']);
  });

  it('says which blob is missing', async () => {
    await using scratch = await scratchFolder();
    const store = await BlobStore.open(scratch.path);
    const hash = 'ab'.repeat(32) as Sha256;
    assert.equal(await store.has(hash), false);
    await assert.rejects(store.read(hash), { code: 'BLOB_MISSING', message: new RegExp(hash) });
    await assert.rejects(store.open(hash), { code: 'BLOB_MISSING' });
  });

  it('takes nothing but a hash for a name', async () => {
    await using scratch = await scratchFolder();
    const store = await BlobStore.open(scratch.path);
    for (const name of ['../state.sqlite', 'AB'.repeat(32), '', 'quarantine']) {
      await assert.rejects(store.read(name as Sha256), TypeError);
    }
  });

  it('puts a damaged blob in quarantine, refuses it, and takes it anew', async () => {
    await using scratch = await scratchFolder();
    const store = await BlobStore.open(scratch.path);
    for (const look of ['read', 'verify'] as const) {
      const bytes = randomBytes(5000);
      const hash = await store.put(bytes);
      const damaged = Buffer.from(bytes);
      damaged[4000] = (damaged[4000] ?? 0) ^ 1;
      await writeFile(join(scratch.path, hash), damaged);
      let file = '';
      await assert.rejects(store[look](hash), (error: Error & { code: string; details: { file: string } }) => {
        file = error.details.file;
        return error.code === 'BLOB_CORRUPT';
      });
      assert.deepEqual(await readFile(file), damaged);
      assert.equal(await store.has(hash), false);
      await store.put(bytes);
      await store.verify(hash);
    }
  });

  it('receives a blob in order and names it only when the whole agrees', async () => {
    await using scratch = await scratchFolder();
    const store = await BlobStore.open(scratch.path);
    const bytes = randomBytes(2500);
    const hash = sha256(bytes);
    await using partial = await store.receive(hash, bytes.length, CHUNK);
    for (let at = 0; at < bytes.length; at += CHUNK) {
      assert.equal(await store.has(hash), false);
      await partial.append(bytes.subarray(at, at + CHUNK));
    }
    await partial.finish();
    assert.deepEqual(Buffer.from(await store.read(hash)), bytes);
    assert.deepEqual(await readdir(scratch.path), [hash, 'quarantine']);
  });

  it('goes on after a cut from the last whole chunk, also in a new process', async () => {
    await using scratch = await scratchFolder();
    const bytes = randomBytes(2500);
    const hash = sha256(bytes);
    {
      const store = await BlobStore.open(scratch.path);
      await using partial = await store.receive(hash, bytes.length, CHUNK);
      await partial.append(bytes.subarray(0, CHUNK));
      await partial.append(bytes.subarray(CHUNK, 2 * CHUNK));
    }
    await truncate(join(scratch.path, `${hash}.part`), 1900);
    const store = await BlobStore.open(scratch.path);
    await using partial = await store.receive(hash, bytes.length, CHUNK);
    assert.equal(partial.resumedAt, CHUNK);
    await partial.append(bytes.subarray(CHUNK));
    await partial.finish();
    assert.deepEqual(Buffer.from(await store.read(hash)), bytes);
  });

  it('drops a received blob whose hash is wrong, so that the next attempt starts clean', async () => {
    await using scratch = await scratchFolder();
    const store = await BlobStore.open(scratch.path);
    const bytes = randomBytes(2500);
    const hash = sha256(bytes);
    {
      await using partial = await store.receive(hash, 2500, CHUNK);
      await partial.append(randomBytes(2500));
      await assert.rejects(partial.finish(), { code: 'BLOB_MISMATCH' });
    }
    assert.equal(await store.has(hash), false);
    await using partial = await store.receive(hash, 2500, CHUNK);
    assert.equal(partial.resumedAt, 0);
    await assert.rejects(partial.append(new Uint8Array(2501)), RangeError);
    await partial.append(bytes);
    await partial.finish();
  });

  it('lets one receiver at a time write a blob', async () => {
    await using scratch = await scratchFolder();
    const store = await BlobStore.open(scratch.path);
    const hash = 'cd'.repeat(32) as Sha256;
    {
      await using _first = await store.receive(hash, 10, CHUNK);
      await assert.rejects(store.receive(hash, 10, CHUNK), /already/);
    }
    await using _second = await store.receive(hash, 10, CHUNK);
  });

  it('forgets a blob and what was received of it', async () => {
    await using scratch = await scratchFolder();
    const store = await BlobStore.open(scratch.path);
    const hash = await store.put(randomBytes(10));
    await store.delete(hash);
    await store.delete(hash);
    assert.equal(await store.has(hash), false);
  });
});
