import assert from 'node:assert/strict';
import { MessageHeaders } from '../../node/participant/messageHeaders.ts';
import { BlobServer } from '../../node/network/blob/server.ts';
import { BlobClient } from '../../node/network/blob/client.ts';
import { FederationClient } from '../../node/network/federation/client.ts';
import { Host } from '../../node/network/host.ts';
import { BlobStore } from '../../node/storage/blobs.ts';
import { identityFromSeed, type Identity } from '../../protocol/identity.ts';
import { isPrefmeshError } from '../../protocol/errors.ts';
import type { MessageHeader, MessageType, Payload } from '../../protocol/messages.ts';
import { roundNumber, sha256, type Sha256 } from '../../protocol/names.ts';
import { openEnvelope, sealMessage } from '../../protocol/opening.ts';
import { ReplayWindow } from '../../protocol/replay.ts';
import { decodeBlob, encodeBlob, tableHash, type FixedPointTensors } from '../../protocol/tensorBlob.ts';
import { factorTable } from '../../protocol/update.ts';
import { FederationFixture, silent } from './federationFixture.ts';
import { killRunning } from './program.ts';

const ROUND = roundNumber(1);

/** Somebody who speaks the protocol and keeps to nothing else. */
class Stranger implements AsyncDisposable {
  readonly identity: Identity;
  readonly headers: MessageHeaders;
  readonly blobs: BlobStore;
  readonly #fixture: FederationFixture;
  readonly #host: Host;
  readonly #server: BlobServer;
  readonly #address: string;
  #lastHash: Sha256 | undefined;

  private constructor(
    fixture: FederationFixture,
    identity: Identity,
    host: Host,
    blobs: BlobStore,
    server: BlobServer,
    address: string,
  ) {
    this.identity = identity;
    this.headers = new MessageHeaders(fixture.federation.hash, Date.now);
    this.blobs = blobs;
    this.#fixture = fixture;
    this.#host = host;
    this.#server = server;
    this.#address = address;
  }

  static async connect(fixture: FederationFixture, seed: number, address: string): Promise<Stranger> {
    const identity = identityFromSeed(new Uint8Array(32).fill(seed));
    const host = await Host.start(identity, { preset: 'local', role: 'participant', log: silent });
    const blobs = await BlobStore.open(fixture.path(`stranger-${seed}`));
    const server = await BlobServer.start({ host, store: blobs }, { mayRead: () => true });
    await host.connect(address);
    return new Stranger(fixture, identity, host, blobs, server, address);
  }

  /** Sends bytes and answers the code of the refusal, signed or not; null when accepted. */
  async send(bytes: Uint8Array): Promise<string | null> {
    const client = new FederationClient(this.#host);
    let reply: Uint8Array;
    try {
      reply = await client.request(this.#address, bytes);
    } catch (error) {
      if (isPrefmeshError(error, 'PEER_REFUSED')) return String(error.details.code);
      throw error;
    }
    const { owner, federation } = this.#fixture;
    const request = this.#lastHash;
    const { payload } = openEnvelope(
      reply,
      {
        types: ['acknowledgement', 'joined'],
        federation: federation.hash,
        recipient: this.identity.id,
        isMember: (sender) => sender === owner.id,
        ...(request && { request }),
      },
      Date.now(),
      new ReplayWindow(),
    );
    return 'code' in payload ? payload.code : null;
  }

  /** Signs a message for the aggregator; `change` spoils its payload first. */
  seal<Type extends MessageType>(
    type: Type,
    body: object,
    change: (payload: MessageHeader) => object = (payload) => payload,
  ): Uint8Array {
    const header = { ...this.headers.next(ROUND), recipient: this.#fixture.owner.id };
    const { bytes, hash } = sealMessage(this.identity, type, change({ ...header, ...body }) as Payload<Type>);
    this.#lastHash = hash;
    return bytes;
  }

  join(): Promise<string | null> {
    return this.send(this.seal('join', { invite: null, pairsBucket: 16 }, (payload) => ({ ...payload, round: 0 })));
  }

  /** Stores a blob and offers it as what it is, but for `lies`. */
  async offer(blob: Uint8Array, parent: FixedPointTensors, lies: object = {}): Promise<string | null> {
    await this.blobs.put(blob);
    return this.send(this.seal('update', { ...this.body(blob, parent), ...lies }));
  }

  body(blob: Uint8Array, parent: FixedPointTensors) {
    return {
      factor: 'B',
      parent: this.#fixture.federation.content.adapter.initial,
      blob: sha256(blob),
      bytes: blob.length,
      table: tableHash(factorTable(parent.table, 'B'), parent.bits),
      pairsBucket: 16,
    };
  }

  /** The adapter that the round starts from, as the aggregator serves it to members. */
  async parent(): Promise<FixedPointTensors> {
    const { initial } = this.#fixture.federation.content.adapter;
    await new BlobClient({ host: this.#host, store: this.blobs }).fetch(initial, { from: [this.#address] });
    return decodeBlob(await this.blobs.read(initial));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.stop();
    await this.#host.stop();
  }
}

describe('a participant that keeps to nothing', function () {
  this.timeout(240_000);
  after(killRunning);

  it('is refused with a code of its own for each offence, while the honest round closes', async () => {
    using fixture = await FederationFixture.make({ participants: 3, rounds: 1 });
    const aggregator = fixture.aggregator();
    const address = (await aggregator.until('listening')).addresses[0]!;
    await using stranger = await Stranger.connect(fixture, 7, address);
    await using outsider = await Stranger.connect(fixture, 8, address);
    assert.equal(await stranger.join(), null);
    for (const name of ['ada', 'ben']) await fixture.join(name, address);
    const honest = ['ada', 'ben'].map((name) => fixture.participant(name));
    await aggregator.until('round-opened');

    const parent = await stranger.parent();
    const table = factorTable(parent.table, 'B');
    const update = (fill: number, over = table): Uint8Array => {
      const length = over.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
      return encodeBlob({ bits: parent.bits, table: over, values: new Int32Array(length).fill(fill) });
    };
    const good = update(1);
    const body = stranger.body(good, parent);

    const found: Record<string, string | null> = {};
    const sealed = stranger.seal('round-query', {});
    const flipped = sealed.slice();
    flipped[flipped.length - 1]! ^= 1;
    found['bad signature'] = await stranger.send(flipped);
    found['not a message'] = await stranger.send(Uint8Array.of(1, 2, 3));
    found['wrong federation'] = await stranger.send(
      stranger.seal('update', body, (payload) => ({ ...payload, federation: sha256(Uint8Array.of(1)) })),
    );
    found['for somebody else'] = await stranger.send(
      stranger.seal('update', body, (payload) => ({ ...payload, recipient: outsider.identity.id })),
    );
    found['no member'] = await outsider.send(outsider.seal('update', body));
    const early = stranger.seal('update', body, (payload) => ({ ...payload, round: roundNumber(9) }));
    found['wrong round'] = await stranger.send(early);
    found['a message again'] = await stranger.send(early);
    const hour = 3_600_000;
    found['expired'] = await stranger.send(
      stranger.seal('update', body, (payload) => ({
        ...payload,
        issuedAt: payload.issuedAt - 2 * hour,
        expiresAt: payload.issuedAt - hour,
      })),
    );
    found['oversized, as it says'] = await stranger.offer(good, parent, { bytes: 10_000_000 });
    const larger = new Uint8Array(good.length + 4096);
    larger.set(good);
    found['larger than it says'] = await stranger.offer(larger, parent, { bytes: good.length });
    found['another table, as it says'] = await stranger.offer(good, parent, { table: sha256(Uint8Array.of(2)) });
    found['another table than it says'] = await stranger.offer(update(1, table.slice(1)), parent);
    const notFinite = good.slice();
    new DataView(notFinite.buffer).setInt32(notFinite.length - 4, -(2 ** 31), true);
    found['not finite'] = await stranger.offer(notFinite, parent);
    found['over the norm'] = await stranger.offer(update(2 ** 30), parent);
    found['wrong factor'] = await stranger.offer(good, parent, { factor: 'A' });
    found['wrong parent'] = await stranger.offer(good, parent, { parent: sha256(Uint8Array.of(3)) });
    found['too few pairs'] = await stranger.offer(good, parent, { pairsBucket: 1 });
    found['a blob that nobody has'] = await stranger.send(
      stranger.seal('update', { ...body, blob: sha256(Uint8Array.of(4)) }),
    );
    found['not even a blob'] = await stranger.offer(Uint8Array.from({ length: 100 }), parent);

    assert.equal(await stranger.offer(good, parent), null);
    found['a second update'] = await stranger.offer(update(2), parent);

    assert.deepEqual(found, {
      'bad signature': 'BAD_SIGNATURE',
      'not a message': 'MALFORMED',
      'wrong federation': 'WRONG_FEDERATION',
      'for somebody else': 'WRONG_RECIPIENT',
      'no member': 'NOT_ADMITTED',
      'wrong round': 'WRONG_ROUND',
      'a message again': 'REPLAYED',
      expired: 'EXPIRED',
      'oversized, as it says': 'OVERSIZED',
      'larger than it says': 'BLOB_TOO_LARGE',
      'another table, as it says': 'WRONG_TENSOR_TABLE',
      'another table than it says': 'WRONG_TENSOR_TABLE',
      'not finite': 'NOT_FINITE',
      'over the norm': 'NORM_EXCEEDED',
      'wrong factor': 'WRONG_FACTOR',
      'wrong parent': 'WRONG_PARENT',
      'too few pairs': 'TOO_FEW_PAIRS',
      'a blob that nobody has': 'BLOB_UNAVAILABLE',
      'not even a blob': 'MALFORMED_BLOB',
      'a second update': 'DUPLICATE_UPDATE',
    });
    const closed = await aggregator.until('round-closed');
    assert.deepEqual([closed.outcome, closed.updates], ['published', 3]);
    const finished = await Promise.all(honest.map((each) => each.until('finished')));
    assert.deepEqual(new Set(finished.map(({ adapter }) => adapter)), new Set([closed.adapter]));
  });
});
