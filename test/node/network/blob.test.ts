import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { BlobClient, type BlobProgress } from '../../../node/network/blob/client.ts';
import {
  BLOB_PROTOCOL,
  BLOB_REQUEST_BYTES,
  blobChunkSchema,
  blobRequestSchema,
  encodeChunk,
} from '../../../node/network/blob/messages.ts';
import { BlobServer, type BlobServerInit } from '../../../node/network/blob/server.ts';
import { Frames } from '../../../node/network/frames.ts';
import type { Host } from '../../../node/network/host.ts';
import { isRefusal } from '../../../node/network/refusal.ts';
import { BlobStore } from '../../../node/storage/blobs.ts';
import { encode } from '../../../protocol/codec.ts';
import { LIMITS } from '../../../protocol/limits.ts';
import { sha256 } from '../../../protocol/names.ts';
import { scratchFolder } from '../storage/scratch.ts';
import { assertServes, frame, refusalTo } from './garbage.ts';
import { readSlowly } from './slowReader.ts';
import { eventOf, startBehindProxy, startHost, startPair } from './hosts.ts';

const MiB = 1024 * 1024;
const CHUNK = LIMITS.blobChunk.value;
const DEPTH = LIMITS.blobDepth.value;
const ANYONE: BlobServerInit = { mayRead: () => true };

async function openStore(): Promise<AsyncDisposable & { readonly store: BlobStore }> {
  const scratch = await scratchFolder();
  return { store: await BlobStore.open(scratch.path), [Symbol.asyncDispose]: () => scratch[Symbol.asyncDispose]() };
}

/** Answers the head of every blob as told, and each chunk as told. */
function serveLies(host: Host, size: number, chunk: (n: number) => Uint8Array | undefined): Promise<AsyncDisposable> {
  return host.serve(BLOB_PROTOCOL, async (stream, from) => {
    const frames = new Frames(stream, from, { maxFrame: BLOB_REQUEST_BYTES });
    const wait = 60_000;
    for (;;) {
      const request = await frames.read(blobRequestSchema, { what: 'request', wait });
      if (request.t === 'done') return;
      if (request.t === 'head') await frames.write({ t: 'head', size }, { what: 'head', wait });
      else {
        const bytes = chunk(request.chunk);
        if (bytes !== undefined)
          await frames.write({ t: 'chunk', chunk: request.chunk, bytes }, { what: 'chunk', wait });
      }
    }
  });
}

describe('a blob', () => {
  it('of 24 MiB arrives whole, with progress and no byte sent twice', async () => {
    await using pair = await startPair();
    await using at = await openStore();
    await using to = await openStore();
    await using _server = await BlobServer.start({ host: pair.first, store: at.store }, ANYONE);
    const bytes = randomBytes(24 * MiB + 12_345);
    const hash = await at.store.put(bytes);
    const progress: BlobProgress[] = [];
    const client = new BlobClient({ host: pair.second, store: to.store });
    const result = await client.fetch(hash, {
      from: [pair.first.id],
      onProgress: (step) => progress.push(step),
    });
    assert.deepEqual(result, { size: bytes.length, transferred: bytes.length, attempts: 1 });
    assert.ok(bytes.equals(await to.store.read(hash)));
    assert.equal(progress.length, Math.ceil(bytes.length / CHUNK));
    assert.deepEqual(progress.at(-1), { received: bytes.length, size: bytes.length, peer: pair.first.id });
    assert.deepEqual(await client.fetch(hash, { from: [] }), { size: bytes.length, transferred: 0, attempts: 0 });
  });

  it('is asked for only a few chunks ahead of what is on disk', async () => {
    await using pair = await startPair();
    await using to = await openStore();
    const size = 12 * MiB;
    let asked = 0;
    // Reads every request as soon as it comes, whatever is still to be answered.
    await using _server = await pair.first.serve(BLOB_PROTOCOL, async (stream, from) => {
      const frames = new Frames(stream, from, { maxFrame: BLOB_REQUEST_BYTES });
      const wait = 60_000;
      let answers = Promise.resolve();
      for (;;) {
        const request = await frames.read(blobRequestSchema, { what: 'request', wait });
        if (request.t === 'done') return;
        if (request.t === 'get') asked += 1;
        const reply =
          request.t === 'head'
            ? { t: 'head', size }
            : { t: 'chunk', chunk: request.chunk, bytes: new Uint8Array(CHUNK) };
        answers = answers.then(() => frames.write(reply, { what: 'reply', wait }));
      }
    });
    let most = 0;
    const hash = sha256(new Uint8Array(size));
    await new BlobClient({ host: pair.second, store: to.store }).fetch(hash, {
      from: [pair.first.id],
      onProgress: ({ received }) => (most = Math.max(most, asked - (received / CHUNK - 1))),
    });
    assert.equal(most, DEPTH);
  });

  it('is pulled by the aggregator from a participant that nobody can dial, over the connection it made', async () => {
    await using aggregator = await startHost({ role: 'aggregator' });
    await using participant = await startHost({ listen: [], bootstrap: aggregator.addresses });
    await participant.ready();
    assert.deepEqual(participant.addresses, []);
    await using at = await openStore();
    await using to = await openStore();
    await using _server = await BlobServer.start(
      { host: participant, store: at.store },
      {
        mayRead: (_hash, peer) => peer === aggregator.id,
      },
    );
    const hash = await at.store.put(randomBytes(3 * MiB));
    await new BlobClient({ host: aggregator, store: to.store }).fetch(hash, { from: [participant.id] });
    await to.store.verify(hash);
  });

  it('goes on where it was after each of four cuts; what is sent twice is less than a megabyte each', async () => {
    await using server = await startBehindProxy({ cut: { after: [5.5, 5.5, 5.5, 5.5].map((n) => n * MiB) } });
    const { host, proxy } = server;
    await using client = await startHost({ listen: [] });
    await using at = await openStore();
    await using to = await openStore();
    await using _server = await BlobServer.start({ host, store: at.store }, ANYONE);
    const bytes = randomBytes(24 * MiB);
    const hash = await at.store.put(bytes);
    const result = await new BlobClient({ host: client, store: to.store }).fetch(hash, { from: host.addresses });
    assert.equal(proxy.cuts(), 4);
    assert.equal(result.attempts, 5);
    assert.equal(result.transferred, bytes.length, 'a chunk that is on disk is not fetched again');
    const sentTwice = proxy.bytesToDialler() - bytes.length;
    assert.ok(sentTwice <= 4 * MiB, `${sentTwice} bytes`);
    assert.ok(bytes.equals(await to.store.read(hash)));
  });

  it('goes on in a new process from what an interrupted one received', async () => {
    await using pair = await startPair();
    await using at = await openStore();
    await using to = await openStore();
    await using _server = await BlobServer.start({ host: pair.first, store: at.store }, ANYONE);
    const hash = await at.store.put(randomBytes(8 * MiB));
    const stop = new AbortController();
    const client = new BlobClient({ host: pair.second, store: to.store });
    const interrupted = client.fetch(hash, {
      from: [pair.first.id],
      signal: stop.signal,
      onProgress: ({ received }) => received >= 3 * MiB && stop.abort(new Error('stopped by the user')),
    });
    await assert.rejects(interrupted, /stopped by the user/);
    const later = new BlobClient({ host: pair.second, store: await BlobStore.open(to.store.folder) });
    const result = await later.fetch(hash, { from: [pair.first.id] });
    assert.equal(result.transferred, 5 * MiB);
  });

  it('with another hash is refused, nothing of it is kept, and an honest peer is asked instead', async () => {
    await using pair = await startPair();
    await using honest = await startHost({ role: 'aggregator' });
    await using at = await openStore();
    await using corrupt = await openStore();
    await using to = await openStore();
    const bytes = randomBytes(2 * MiB + 7);
    const hash = await at.store.put(bytes);
    const other = Buffer.from(bytes);
    other[MiB] = (other[MiB] ?? 0) ^ 1;
    await writeFile(join(corrupt.store.folder, hash), other);
    await using _liar = await BlobServer.start({ host: pair.first, store: corrupt.store }, ANYONE);
    await using _server = await BlobServer.start({ host: honest, store: at.store }, ANYONE);
    const client = new BlobClient({ host: pair.second, store: to.store });
    await assert.rejects(client.fetch(hash, { from: [pair.first.id] }), { code: 'BLOB_MISMATCH' });
    assert.deepEqual(await readdir(to.store.folder), ['quarantine']);
    await client.fetch(hash, { from: [pair.first.id, honest.addresses[0]!] });
    assert.ok(bytes.equals(await to.store.read(hash)));
  });

  it('that a liar began is fetched anew from an honest peer', async () => {
    await using pair = await startPair();
    await using at = await openStore();
    await using to = await openStore();
    const bytes = randomBytes(2 * MiB);
    const hash = await at.store.put(bytes);
    {
      await using poisoned = await to.store.receive(hash, bytes.length, CHUNK);
      await poisoned.append(randomBytes(CHUNK));
    }
    await using _server = await BlobServer.start({ host: pair.first, store: at.store }, ANYONE);
    const client = new BlobClient({ host: pair.second, store: to.store });
    const { transferred } = await client.fetch(hash, { from: [pair.first.id] });
    assert.equal(transferred, 4 * MiB - CHUNK);
    assert.ok(bytes.equals(await to.store.read(hash)));
  });

  it('larger than allowed is refused at its declared size, before any of it is read', async () => {
    await using pair = await startPair();
    await using to = await openStore();
    let chunksAsked = 0;
    await using _server = await serveLies(pair.first, 1024 * MiB, () => {
      chunksAsked += 1;
      return new Uint8Array(CHUNK);
    });
    const client = new BlobClient({ host: pair.second, store: to.store });
    const hash = sha256(Buffer.from('large'));
    for (const maxBytes of [MiB, Number.MAX_SAFE_INTEGER]) {
      await assert.rejects(client.fetch(hash, { from: [pair.first.id], maxBytes }), { code: 'BLOB_TOO_LARGE' });
    }
    assert.equal(chunksAsked, 0);
  });

  it('declared smaller than it is gets no further than one frame', async () => {
    await using server = await startBehindProxy();
    const { host, proxy } = server;
    await using fresh = await startHost({ listen: [] });
    await using to = await openStore();
    const client = new BlobClient({ host: fresh, store: to.store });
    for (const [length, code] of [
      [CHUNK, 'MALFORMED'],
      [CHUNK + 4096, 'OVERSIZED'],
    ] as const) {
      await using _server = await serveLies(host, 1000, () => new Uint8Array(length));
      await assert.rejects(client.fetch(sha256(randomBytes(4)), { from: host.addresses }), { code });
    }
    assert.ok(proxy.bytesToDialler() < 3 * MiB);
  });

  it('is given up when its peer falls silent', async () => {
    await using pair = await startPair();
    await using to = await openStore();
    await using _server = await serveLies(pair.first, 3 * MiB, (n) => (n === 0 ? new Uint8Array(CHUNK) : undefined));
    const client = new BlobClient({ host: pair.second, store: to.store }, { wait: 50, attempts: 2 });
    const stalled = client.fetch(sha256(randomBytes(4)), { from: [pair.first.id] });
    await assert.rejects(stalled, { code: 'PEER_SILENT', exitCode: 4 });
  });

  it('that is missing, or not for the asker, is refused with a code that tells the two apart only to who may know', async () => {
    await using pair = await startPair();
    await using at = await openStore();
    await using to = await openStore();
    const secret = await at.store.put(Buffer.from('not for everyone'));
    const missing = sha256(Buffer.from('missing'));
    await using _server = await BlobServer.start(
      { host: pair.first, store: at.store },
      { mayRead: (hash) => hash === missing },
    );
    const client = new BlobClient({ host: pair.second, store: to.store });
    const from = [pair.first.id];
    await assert.rejects(client.fetch(missing, { from }), (error) => isRefusal(error, 'BLOB_MISSING'));
    await assert.rejects(client.fetch(secret, { from }), (error) => isRefusal(error, 'BLOB_FORBIDDEN'));
    await assert.rejects(client.fetch(sha256(Buffer.from('?')), { from }), (error) =>
      isRefusal(error, 'BLOB_FORBIDDEN'),
    );
  });

  it('asked for twice at once is fetched once', async () => {
    await using pair = await startPair();
    await using at = await openStore();
    await using to = await openStore();
    const hash = await at.store.put(randomBytes(2 * MiB));
    await using _server = await BlobServer.start({ host: pair.first, store: at.store }, ANYONE);
    const client = new BlobClient({ host: pair.second, store: to.store });
    const results = await Promise.all([1, 2, 3].map(() => client.fetch(hash, { from: [pair.first.id] })));
    assert.deepEqual(
      results.map(({ transferred }) => transferred),
      [2 * MiB, 0, 0],
    );
  });
});

describe('a chunk', () => {
  it('is framed as its encoding, without a copy of its bytes', () => {
    for (const length of [0, 1, 255, 256, 65_535, 65_536, CHUNK]) {
      const bytes = randomBytes(length);
      const parts = encodeChunk(7, bytes);
      assert.deepEqual(Buffer.concat(parts), Buffer.from(encode({ t: 'chunk', chunk: 7, bytes })));
      assert.equal(parts.at(-1), bytes);
    }
  });
});

describe('the blob server', () => {
  it('gives one peer no more than its allowance', async () => {
    await using pair = await startPair();
    await using at = await openStore();
    const hash = await at.store.put(randomBytes(3 * CHUNK));
    await using _server = await BlobServer.start(
      { host: pair.first, store: at.store },
      { ...ANYONE, hourlyBytes: 2 * CHUNK },
    );
    const { stream } = await pair.second.openStream(pair.first.id, BLOB_PROTOCOL);
    const frames = new Frames(stream, pair.first.id, { maxFrame: 2 * MiB });
    const wait = 10_000;
    const replies: string[] = [];
    for (const chunk of [0, 1, 2]) {
      await frames.write({ t: 'get', id: hash, chunk }, { what: 'request', wait });
      const reply = await frames.read(blobChunkSchema, { what: 'reply', wait });
      replies.push(reply.t === 'refused' ? reply.code : reply.t);
    }
    assert.deepEqual(replies, ['chunk', 'chunk', 'RATE_LIMITED']);
    frames.abort('done');
  });

  it('holds a few chunks at most for a peer that asks for thousands and reads none, and cuts it off', async () => {
    await using pair = await startPair();
    await using at = await openStore();
    const hash = await at.store.put(randomBytes(16 * MiB));
    let answered = 0;
    await using _server = await BlobServer.start(
      { host: pair.first, store: at.store },
      {
        mayRead: () => {
          answered += 1;
          return true;
        },
      },
    );
    const { stream } = await pair.second.openStream(pair.first.id, BLOB_PROTOCOL);
    stream.pause();
    const cut = eventOf(stream, 'close');
    const request = frame(encode({ t: 'get', id: hash, chunk: 0 }));
    stream.send(Buffer.concat(Array.from({ length: 20_000 }, () => request)));
    await cut;
    assert.ok(answered * CHUNK <= 4 * MiB, `${answered} chunks`);
    await assertServes(pair.second, pair.first.id);
  });

  it('holds little for a peer that asks for much and reads it slowly', async () => {
    await using pair = await startPair();
    await using at = await openStore();
    const hash = await at.store.put(randomBytes(MiB));
    let answered = 0;
    await using _server = await BlobServer.start(
      { host: pair.first, store: at.store },
      {
        mayRead: () => {
          answered += 1;
          return true;
        },
      },
    );
    const { stream } = await pair.second.openStream(pair.first.id, BLOB_PROTOCOL);
    const reading = readSlowly(stream, 24 * MiB, () => answered * CHUNK);
    for (let n = 0; n < (24 * MiB) / CHUNK; n++) stream.send(frame(encode({ t: 'get', id: hash, chunk: 0 })));
    await reading;
    stream.abort(new Error('enough'));
  });

  it('answers garbage with a code and lives', async () => {
    await using pair = await startPair();
    await using at = await openStore();
    await using _server = await BlobServer.start({ host: pair.first, store: at.store }, ANYONE);
    assert.equal(await refusalTo(pair, BLOB_PROTOCOL, Buffer.from([3, 0xc1, 0xc1, 0xc1])), 'MALFORMED');
    assert.equal(await refusalTo(pair, BLOB_PROTOCOL, Buffer.from([0xff, 0xff, 0xff, 0x7f])), 'OVERSIZED');
    assert.equal(await refusalTo(pair, BLOB_PROTOCOL, frame(encode({ t: 'get', id: 'x', chunk: -1 }))), 'MALFORMED');
    await assertServes(pair.second, pair.first.id);
  });
});
