import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { FederationClient } from '../../../node/network/federation/client.ts';
import { FEDERATION_PROTOCOL, REQUEST_BYTES } from '../../../node/network/federation/messages.ts';
import { FederationServer, type FederationServerInit } from '../../../node/network/federation/server.ts';
import { isRefusal } from '../../../node/network/refusal.ts';
import { encode } from '../../../protocol/codec.ts';
import { PrefmeshError } from '../../../protocol/errors.ts';
import { LIMITS } from '../../../protocol/limits.ts';
import { roundNumber, sha256 } from '../../../protocol/names.ts';
import { frame, refusalTo } from './garbage.ts';
import { startHost, startPair } from './hosts.ts';

const ECHO: FederationServerInit = {
  manifest: () => undefined,
  evidence: () => undefined,
  log: () => undefined,
  cosign: () => ({ checkpoint: '', proof: [] }),
  onMessage: async (envelope) => Buffer.concat([Buffer.from('heard: '), envelope]),
};

describe('the federation protocol', () => {
  it('carries an envelope there and its answer back, and says who sent the stream', async () => {
    await using pair = await startPair();
    const senders: string[] = [];
    await using _server = await FederationServer.start(pair.first, {
      ...ECHO,
      onMessage: async (envelope, from) => {
        senders.push(from);
        return envelope.toReversed();
      },
    });
    const client = new FederationClient(pair.second);
    const envelope = randomBytes(LIMITS.message.value);
    const answer = await client.request(pair.first.id, envelope);
    assert.deepEqual(Buffer.from(answer), Buffer.from(envelope.toReversed()));
    assert.deepEqual(senders, [pair.second.id]);
  });

  it('carries the update messages of a round and the log, or says that there is none', async () => {
    await using pair = await startPair();
    const manifest = randomBytes(300);
    const federation = sha256(manifest);
    // As many messages as a round can list, each as long as one is.
    const envelopes = Array.from({ length: LIMITS.participants.value }, () => randomBytes(900));
    const proof = [randomBytes(32), randomBytes(32)];
    await using _server = await FederationServer.start(pair.first, {
      ...ECHO,
      manifest: (asked) => (asked === federation ? manifest : undefined),
      evidence: (_, round) => (round === 3 ? envelopes : undefined),
      log: (_, size) => (size <= 5 ? { checkpoint: `note from ${size}`, proof } : undefined),
    });
    const client = new FederationClient(pair.second);
    const sent = await client.evidence(pair.first.id, federation, roundNumber(3));
    assert.deepEqual(
      sent.map((bytes) => Buffer.from(bytes)),
      envelopes,
    );
    const { checkpoint, proof: shown } = await client.log(pair.first.id, federation, 5);
    assert.deepEqual([checkpoint, shown.map((bytes) => Buffer.from(bytes))], ['note from 5', proof]);
    const other = sha256(randomBytes(8));
    await assert.rejects(client.evidence(pair.first.id, federation, roundNumber(4)), (error) =>
      isRefusal(error, 'ROUND_NOT_PUBLISHED'),
    );
    await assert.rejects(client.log(pair.first.id, federation, 6), (error) => isRefusal(error, 'LOG_TOO_SHORT'));
    await assert.rejects(client.log(pair.first.id, other, 0), (error) => isRefusal(error, 'FEDERATION_UNKNOWN'));
  });

  it('carries a manifest of the largest size to whoever knows its hash, and no other', async () => {
    await using pair = await startPair();
    const manifest = randomBytes(LIMITS.document.value);
    const federation = sha256(manifest);
    await using _server = await FederationServer.start(pair.first, {
      ...ECHO,
      manifest: (asked) => (asked === federation ? manifest : undefined),
    });
    const client = new FederationClient(pair.second);
    assert.ok(manifest.equals(await client.manifest(pair.first.id, federation)));
    await assert.rejects(client.manifest(pair.first.id, sha256(Buffer.from('other'))), (error) =>
      isRefusal(error, 'FEDERATION_UNKNOWN'),
    );
  });

  it('tells the code of a refusal and nothing else, and hides what our own faults are', async () => {
    await using pair = await startPair();
    await using _server = await FederationServer.start(pair.first, {
      ...ECHO,
      onMessage: async (envelope) => {
        if (envelope[0] === 1) throw new PrefmeshError('BAD_SIGNATURE', { what: 'a secret', sender: 'somebody' });
        throw new Error('a path of this machine');
      },
    });
    const client = new FederationClient(pair.second);
    await assert.rejects(client.request(pair.first.id, Uint8Array.of(1)), (error) => {
      assert.ok(isRefusal(error, 'BAD_SIGNATURE'));
      assert.equal(error.exitCode, 5);
      assert.ok(!error.message.includes('a secret'));
      return true;
    });
    await assert.rejects(client.request(pair.first.id, Uint8Array.of(2)), (error) => isRefusal(error, 'UNEXPECTED'));
  });

  it('answers every kind of garbage with a code, and goes on', async () => {
    await using pair = await startPair();
    await using _server = await FederationServer.start(pair.first, ECHO);
    const garbage: readonly (readonly [Uint8Array, string])[] = [
      [frame(Buffer.from('not MessagePack at all')), 'MALFORMED'],
      [frame(encode({ t: 'message' })), 'MALFORMED'],
      [frame(encode({ t: 'message', envelope: new Uint8Array(3), more: 1 })), 'MALFORMED'],
      [frame(encode({ t: 'manifest', federation: 'x' })), 'MALFORMED'],
      [frame(encode({ t: 'unheard of' })), 'MALFORMED'],
      [frame(new Uint8Array()), 'MALFORMED'],
      [Buffer.from([0xff, 0xff, 0xff, 0x7f]), 'OVERSIZED'],
      [Buffer.concat([Buffer.from([0x80, 0x80, 0x80, 0x08]), new Uint8Array(1024 * 1024)]), 'OVERSIZED'],
    ];
    for (const [bytes, code] of garbage) {
      assert.equal(
        await refusalTo(pair, FEDERATION_PROTOCOL, bytes),
        code,
        Buffer.from(bytes.subarray(0, 8)).toString('hex'),
      );
    }
    const answer = await new FederationClient(pair.second).request(pair.first.id, Buffer.from('still there?'));
    assert.equal(Buffer.from(answer).toString(), 'heard: still there?');
  });

  it('outlives random bytes from a peer that then vanishes', async () => {
    await using pair = await startPair();
    await using _server = await FederationServer.start(pair.first, ECHO);
    for (let n = 0; n < 20; n++) {
      const { stream } = await pair.second.openStream(pair.first.id, FEDERATION_PROTOCOL);
      stream.send(randomBytes(1 + n * 100));
      stream.abort(new Error('vanished'));
    }
    const answer = await new FederationClient(pair.second).request(pair.first.id, Buffer.from('still there?'));
    assert.equal(Buffer.from(answer).toString(), 'heard: still there?');
  });

  it('refuses a peer that asks too often, and only that one', async () => {
    await using pair = await startPair();
    await using other = await startHost();
    await using _server = await FederationServer.start(pair.first, { ...ECHO, requests: 3 });
    const client = new FederationClient(pair.second);
    const ask = () => client.request(pair.first.id, Buffer.from('?'));
    for (let n = 0; n < 3; n++) await ask();
    await assert.rejects(ask(), (error) => isRefusal(error, 'RATE_LIMITED'));
    await new FederationClient(other).request(pair.first.addresses[0]!, Buffer.from('?'));
  });

  it('does not send a message that would be refused for its length', async () => {
    await using pair = await startPair();
    const client = new FederationClient(pair.second);
    const long = new Uint8Array(LIMITS.message.value + 1);
    await assert.rejects(client.request(pair.first.id, long), { code: 'OVERSIZED' });
    assert.ok(REQUEST_BYTES > LIMITS.message.value);
  });

  it('ends a request when the caller says so, and when the peer is gone', async () => {
    await using pair = await startPair();
    let asked = Promise.withResolvers<void>();
    await using _server = await FederationServer.start(pair.first, {
      ...ECHO,
      onMessage: async (_envelope, _from, { signal }) => {
        asked.resolve();
        return new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
      },
    });
    const client = new FederationClient(pair.second);
    const stop = new AbortController();
    const stopped = client.request(pair.first.id, Buffer.from('?'), { signal: stop.signal });
    await asked.promise;
    stop.abort(new Error('stopped by the user'));
    await assert.rejects(stopped, /stopped by the user/);

    asked = Promise.withResolvers<void>();
    const cut = client.request(pair.first.id, Buffer.from('?'));
    const failure = assert.rejects(cut, { code: 'STREAM_CUT', exitCode: 4 });
    await asked.promise;
    await pair.first.stop();
    await failure;
  });
});
