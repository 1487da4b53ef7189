import assert from 'node:assert/strict';
import { FederationClient } from '../../../node/network/federation/client.ts';
import { FEDERATION_PROTOCOL } from '../../../node/network/federation/messages.ts';
import { FederationServer } from '../../../node/network/federation/server.ts';
import { encode } from '../../../protocol/codec.ts';
import { type Envelope, decodeEnvelope, sealEnvelope } from '../../../protocol/envelope.ts';
import type { ErrorCode } from '../../../protocol/errors.ts';
import type { Identity } from '../../../protocol/identity.ts';
import { LIMITS } from '../../../protocol/limits.ts';
import { openEnvelope, sealMessage } from '../../../protocol/opening.ts';
import { ReplayWindow } from '../../../protocol/replay.ts';
import {
  NOW,
  aggregator,
  exampleFederation,
  exampleUpdate,
  hashOf,
  header,
  participants,
  stranger,
  updateMessage,
} from '../../protocol/exampleFederation.ts';
import { frame, refusalTo } from './garbage.ts';
import { startPair } from './hosts.ts';

const [ann, ben] = participants as [Identity, Identity];
const federation = exampleFederation();
const members = new Set(participants.map(({ id }) => id));
const hex = (text: string) => Uint8Array.from(Buffer.from(text.replaceAll(' ', ''), 'hex'));

const good = updateMessage(ann, exampleUpdate(0.25));
const envelope = decodeEnvelope(good.bytes, LIMITS.message.value);
const payload = { ...openGood() };

function openGood() {
  const expected = {
    types: ['update' as const],
    federation: federation.hash,
    recipient: aggregator.id,
    isMember: () => true,
  };
  return openEnvelope(good.bytes, expected, NOW, new ReplayWindow()).payload;
}

/** The good message with fields of its envelope replaced. */
function withEnvelope(changes: Partial<Record<keyof Envelope, unknown>>): Uint8Array {
  return encode({ ...envelope, ...changes } as never);
}

/** A well-signed update with fields of its payload replaced; undefined takes one away. */
function withPayload(changes: Record<string, unknown>, sender = ann): Uint8Array {
  const fields = Object.entries({ ...payload, ...changes }).filter(([, value]) => value !== undefined);
  return sealEnvelope(sender, 'update', encode(Object.fromEntries(fields) as never)).bytes;
}

/** A signature with the group order added to its S: the same point equation holds, and a lax verifier takes it. */
function malleated(signature: Uint8Array): Uint8Array {
  const order = 2n ** 252n + 27742317777372353535851937790883648493n;
  let s = BigInt(`0x${Buffer.from(signature.slice(32).reverse()).toString('hex')}`) + order;
  const bytes = signature.slice();
  for (let at = 32; at < 64; at++, s >>= 8n) bytes[at] = Number(s & 255n);
  return bytes;
}

function inEnvelope(bytes: Uint8Array): Uint8Array {
  return sealEnvelope(ann, 'update', bytes).bytes;
}

const leave = sealMessage(ann, 'leave', { ...header({ sequence: 7 }), recipient: aggregator.id });
const day = 24 * 3_600_000;
const nested = Uint8Array.from([...Array.from({ length: 40 }, () => 0x91), 0xc0]);
const tolerance = LIMITS.clockTolerance.value;

/** Envelopes that must not be taken, each with the code that they are refused with. */
const MESSAGES: Readonly<Record<string, readonly [ErrorCode, Uint8Array]>> = {
  'nothing at all': ['MALFORMED', new Uint8Array()],
  'plain text': ['MALFORMED', Buffer.from('GET / HTTP/1.1')],
  'the unused tag of MessagePack': ['MALFORMED', hex('c1')],
  'a number': ['MALFORMED', encode(7)],
  'a list': ['MALFORMED', encode([1, 2, 3])],
  'an extension': ['MALFORMED', hex('d6 ff 00000000')],
  'a record of the library': ['MALFORMED', hex('d4 72 40 91 a161')],
  'a float 32': ['MALFORMED', hex('81 a161 ca 3f800000')],
  'not a number': ['MALFORMED', hex('81 a161 cb 7ff8000000000000')],
  'an integer beyond 2^53': ['MALFORMED', hex('81 a161 cf 0020000000000001')],
  'text that is not UTF-8': ['MALFORMED', hex('81 a161 a2 c328')],
  'a key given twice': ['MALFORMED', hex('82 a161 01 a161 02')],
  'the key __proto__': ['MALFORMED', hex('81 a95f5f70726f746f5f5f 80')],
  'a key that is a number': ['MALFORMED', hex('81 01 02')],
  'a list of four billion': ['MALFORMED', hex('dd ffffffff c0')],
  'a binary of four gigabytes': ['MALFORMED', hex('c6 ffffffff 00')],
  'a nesting forty deep': ['MALFORMED', nested],
  'a good one with its first byte gone': ['MALFORMED', good.bytes.subarray(1)],
  'a good one with its last byte gone': ['MALFORMED', good.bytes.subarray(0, -1)],
  'a good one with a byte after it': ['MALFORMED', Buffer.concat([good.bytes, Buffer.of(0)])],
  'two good ones': ['MALFORMED', Buffer.concat([good.bytes, good.bytes])],
  'an envelope without a field': ['MALFORMED', encode({ type: 'update', sender: ann.id, payload: envelope.payload })],
  'an envelope with one more field': ['MALFORMED', withEnvelope({ extra: 1 } as never)],
  'a type that is no text': ['MALFORMED', withEnvelope({ type: 1 })],
  'a type without a name': ['MALFORMED', withEnvelope({ type: '' })],
  'a type with a long name': ['MALFORMED', withEnvelope({ type: 'u'.repeat(LIMITS.typeName.value + 1) })],
  'a type that nobody knows': ['UNEXPECTED_TYPE', withEnvelope({ type: 'constructor' })],
  'a type that is not for an aggregator': ['UNEXPECTED_TYPE', withEnvelope({ type: 'joined' })],
  'a sender that is no peer': ['MALFORMED', withEnvelope({ sender: 'somebody' })],
  'a sender with a key of another kind': ['MALFORMED', withEnvelope({ sender: `Qm${'a'.repeat(44)}` })],
  'a payload that is text': ['MALFORMED', withEnvelope({ payload: 'text' })],
  'an empty payload': ['MALFORMED', inEnvelope(new Uint8Array())],
  'a payload of rubbish': ['MALFORMED', inEnvelope(hex('c1c1c1c1'))],
  'a payload of another type': ['MALFORMED', inEnvelope(encode({ ...header(), recipient: aggregator.id }))],
  'a payload without a field': ['MALFORMED', withPayload({ blob: undefined })],
  'a payload with one more field': ['MALFORMED', withPayload({ admin: true })],
  'a round below 0': ['MALFORMED', withPayload({ round: -1 })],
  'a round that is half': ['MALFORMED', withPayload({ round: 1.5 })],
  'a round beyond all rounds': ['MALFORMED', withPayload({ round: LIMITS.rounds.value + 1 })],
  'a sequence of 0': ['MALFORMED', withPayload({ sequence: 0 })],
  'a nonce in capitals': ['MALFORMED', withPayload({ nonce: 'ABCDEFABCDEFABCDEFABCDEFABCDEFAB' })],
  'a short nonce': ['MALFORMED', withPayload({ nonce: '00' })],
  'a factor that there is not': ['MALFORMED', withPayload({ factor: 'C' })],
  'a hash that is none': ['MALFORMED', withPayload({ blob: '../../etc/passwd' })],
  'a blob of no bytes': ['MALFORMED', withPayload({ bytes: 0 })],
  'a blob larger than any': ['MALFORMED', withPayload({ bytes: LIMITS.blobSize.value + 1 })],
  'pairs that are no power of two': ['MALFORMED', withPayload({ pairsBucket: 65 })],
  'a billion billion pairs': ['MALFORMED', withPayload({ pairsBucket: 2 ** 60 })],
  'one that counts for no time': ['MALFORMED', withPayload({ expiresAt: NOW })],
  'one that counts for two days': ['MALFORMED', withPayload({ expiresAt: NOW + 2 * day })],
  'another federation': ['WRONG_FEDERATION', withPayload({ federation: hashOf('another') })],
  'another recipient': ['WRONG_RECIPIENT', withPayload({ recipient: ben.id })],
  'a sender who is no member': ['NOT_ADMITTED', withPayload({}, stranger)],
  'one from last week': ['EXPIRED', withPayload({ issuedAt: NOW - 7 * day, expiresAt: NOW - 7 * day + 60_000 })],
  'one just expired': ['EXPIRED', withPayload({ issuedAt: NOW - day / 2, expiresAt: NOW - tolerance - 1 })],
  'one from tomorrow': ['NOT_YET_VALID', withPayload({ issuedAt: NOW + day, expiresAt: NOW + day + 60_000 })],
  'a signature of 63 bytes': ['MALFORMED', withEnvelope({ signature: envelope.signature.subarray(1) })],
  'a signature of zeros': ['BAD_SIGNATURE', withEnvelope({ signature: new Uint8Array(64) })],
  'a signature with one bit flipped': ['BAD_SIGNATURE', withEnvelope({ signature: flipped(envelope.signature) })],
  'a signature made malleable': ['BAD_SIGNATURE', withEnvelope({ signature: malleated(envelope.signature) })],
  'the signature of another member': ['BAD_SIGNATURE', withEnvelope({ sender: ben.id })],
  'a payload signed as another type': ['BAD_SIGNATURE', encode({ ...reread(leave.bytes), type: 'round-query' })],
  'a payload exchanged after signing': ['BAD_SIGNATURE', withEnvelope({ payload: encode({ ...payload, bytes: 1 }) })],
  'more bytes than a message may have': ['OVERSIZED', inEnvelope(new Uint8Array(LIMITS.message.value - 100))],
};

function flipped(bytes: Uint8Array): Uint8Array {
  const copy = bytes.slice();
  copy[10]! ^= 1;
  return copy;
}

function reread(bytes: Uint8Array): Record<string, never> {
  return decodeEnvelope(bytes, LIMITS.message.value) as never;
}

/** Frames that hold no request at all. */
const FRAMES: Readonly<Record<string, readonly [ErrorCode, Uint8Array]>> = {
  'an empty frame': ['MALFORMED', frame(new Uint8Array())],
  'a frame of rubbish': ['MALFORMED', frame(Buffer.from('not MessagePack at all'))],
  'a request of no kind': ['MALFORMED', frame(encode({ t: 'unheard of' }))],
  'a request without its field': ['MALFORMED', frame(encode({ t: 'message' }))],
  'a request with one more field': ['MALFORMED', frame(encode({ t: 'message', envelope: new Uint8Array(3), more: 1 }))],
  'a manifest by no hash': ['MALFORMED', frame(encode({ t: 'manifest', federation: 'x' }))],
  'a log from a negative size': ['MALFORMED', frame(encode({ t: 'log', federation: federation.hash, size: -1 }))],
  'a frame of two gigabytes': ['OVERSIZED', hex('ff ff ff ff 07')],
  'a length without an end': ['OVERSIZED', new Uint8Array(64).fill(0xff)],
};

describe('a peer that sends what it should not', function () {
  this.timeout(120_000);

  it(`is refused ${Object.keys({ ...MESSAGES, ...FRAMES }).length} kinds of it by their codes, on one connection that lives on`, async () => {
    await using pair = await startPair();
    const replay = new ReplayWindow();
    let taken = 0;
    await using _door = await FederationServer.start(pair.first, {
      manifest: () => federation.bytes,
      evidence: () => undefined,
      log: () => undefined,
      cosign: () => assert.fail('not asked here'),
      requests: 1000,
      onMessage: async (bytes) => {
        const expected = {
          types: ['update', 'leave', 'round-query'] as const,
          federation: federation.hash,
          recipient: aggregator.id,
          isMember: (sender: Identity['id']) => members.has(sender),
        };
        const { hash } = openEnvelope(bytes, expected, NOW, replay);
        taken += 1;
        return encode(hash);
      },
    });
    const [connection] = pair.second.libp2p.getConnections();
    const client = new FederationClient(pair.second);
    const found: Record<string, string> = {};
    const expected: Record<string, string> = {};
    for (const [name, [code, bytes]] of Object.entries(MESSAGES)) {
      expected[name] = code;
      found[name] = await client.request(pair.first.id, bytes).then(
        () => 'taken',
        (error: { code: string; details: { code?: string } }) => error.details.code ?? error.code,
      );
    }
    for (const [name, [code, bytes]] of Object.entries(FRAMES)) {
      expected[name] = code;
      found[name] = await refusalTo(pair, FEDERATION_PROTOCOL, bytes);
    }
    assert.equal(taken, 0);
    assert.deepEqual(found, expected);

    await client.request(pair.first.id, good.bytes);
    const again = client.request(pair.first.id, good.bytes);
    await assert.rejects(again, (error: { details: { code?: string } }) => error.details.code === 'REPLAYED');
    assert.equal(taken, 1);
    assert.deepEqual(pair.second.libp2p.getConnections(), [connection]);
    assert.equal(connection?.status, 'open');
  });
});
