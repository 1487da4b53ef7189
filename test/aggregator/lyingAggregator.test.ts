import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { nodeStatus } from '../../node/participant/status.ts';
import type { Sha256 } from '../../protocol/names.ts';
import { checkAcknowledged, openAcknowledged } from '../../protocol/acknowledgement.ts';
import { signCheckpoint } from '../../protocol/checkpoint.ts';
import { decodeEnvelope, sealEnvelope } from '../../protocol/envelope.ts';
import { identityFromSeed } from '../../protocol/identity.ts';
import { LIMITS } from '../../protocol/limits.ts';
import { merkleRoot } from '../../protocol/merkle.ts';
import { openReceipt, signReceipt } from '../../protocol/receipt.ts';
import { decodeBlob, encodeBlob } from '../../protocol/tensorBlob.ts';
import { isPrefmeshError } from '../../protocol/errors.ts';
import { FederationFixture } from './federationFixture.ts';
import { LyingAggregator, type Lies } from './lyingAggregator.ts';
import { killRunning, run } from './program.ts';

/** A round with a participant under an aggregator that lies: how the participant ends, and what it holds. */
async function underLies(liesFor: (fixture: FederationFixture) => Lies) {
  using fixture = await FederationFixture.make({ participants: 1, rounds: 1 });
  await using liar = await LyingAggregator.start(fixture, liesFor(fixture));
  await fixture.join('ada', liar.address);
  const ada = fixture.participant('ada');
  const failure = await ada.failure();
  const refused = ada.events.filter((event) => event.event === 'receipt-refused');
  const { federations } = await nodeStatus(fixture.path('ada'));
  const { verifiedRound, folder } = federations[0]!;
  return { ...failure, codes: refused[0]?.codes, verifiedRound, folder };
}

/** Another adapter than the honest one: its first value is one step off. */
async function oneStepOff(
  honest: Sha256,
  blobs: { read(hash: Sha256): Promise<Uint8Array>; put(bytes: Uint8Array): Promise<Sha256> },
) {
  const adapter = decodeBlob(await blobs.read(honest));
  const values = adapter.values.slice();
  values[0]! += 1;
  return blobs.put(encodeBlob({ ...adapter, values }));
}

/** Changes what is a receipt, signed anew by the aggregator itself, and passes on everything else. */
function changingReceipt(
  fixture: FederationFixture,
  change: (receipt: ReturnType<typeof openReceipt>['content']) => object,
) {
  return (honest: Uint8Array): Uint8Array => {
    try {
      const { content } = openReceipt(honest);
      return signReceipt(fixture.owner, { ...content, ...change(content) } as typeof content).bytes;
    } catch (error) {
      if (isPrefmeshError(error, 'UNEXPECTED_TYPE')) return honest;
      throw error;
    }
  };
}

describe('a participant of an aggregator that lies', function () {
  this.timeout(240_000);
  afterEach(killRunning);

  const notAdopted = { exit: 5, verifiedRound: 0, folder: null };

  it('does not adopt an adapter that its updates do not give', async () => {
    const outcome = await underLies(() => ({ aggregate: (honest, _effect, blobs) => oneStepOff(honest, blobs) }));
    assert.deepEqual(outcome, { ...notAdopted, code: 'WRONG_AGGREGATE', codes: ['WRONG_AGGREGATE'] });
  });

  it('does not adopt an adapter without its own acknowledged update', async () => {
    const outcome = await underLies((fixture) => ({
      answer: changingReceipt(fixture, ({ updates }) => ({
        updates: updates.map((update) => ({ ...update, verdict: 'refused', code: 'NORM_EXCEEDED' })),
      })),
    }));
    assert.equal(outcome.exit, 5);
    assert.equal(outcome.verifiedRound, 0);
    assert.ok(outcome.codes?.includes('NOT_INCLUDED'), String(outcome.codes));
  });

  it('keeps the signed acknowledgement of an update that the receipt leaves out: anyone can check it', async () => {
    using fixture = await FederationFixture.make({ participants: 1, rounds: 1 });
    const served: Uint8Array[] = [];
    const leaveOut = changingReceipt(fixture, () => ({ updates: [] }));
    await using liar = await LyingAggregator.start(fixture, {
      answer: (honest) => {
        const answer = leaveOut(honest);
        if (answer !== honest) served.push(answer);
        return answer;
      },
    });
    await fixture.join('ada', liar.address);
    const { exit } = await fixture.participant('ada').failure();
    assert.equal(exit, 5);
    const out = fixture.path('acknowledgements');
    const [written] = run('node', 'acknowledgements', '--home', fixture.path('ada'), '--out', out);
    assert.equal(written!.acknowledgements, 1);
    const proof = openAcknowledged(new Uint8Array(readFileSync(join(out, '000001'))), fixture.federation);
    const receipt = openReceipt(served[0]!).content;
    assert.deepEqual([proof.aggregator, proof.round, proof.refused], [fixture.owner.id, 1, null]);
    assert.throws(
      () => checkAcknowledged(proof, receipt),
      (error) => isPrefmeshError(error, 'NOT_INCLUDED'),
    );
  });

  it('does not adopt bytes that are not the adapter of the receipt', async () => {
    const outcome = await underLies((fixture) => ({
      aggregate: (honest) => {
        // The file changes under its name, as a bad disk or a meddling hand would have it.
        const file = join(fixture.path('liar-blobs'), honest);
        const bytes = readFileSync(file);
        bytes[bytes.length - 1]! ^= 1;
        writeFileSync(file, bytes);
        return Promise.resolve(honest);
      },
    }));
    assert.equal(outcome.exit, 5);
    assert.equal(outcome.verifiedRound, 0);
    assert.ok(outcome.codes?.includes('BLOB_MISMATCH'), String(outcome.codes));
  });

  it('keeps the adapter that it has when the gate refuses the round, and goes on', async () => {
    using fixture = await FederationFixture.make({ participants: 1, rounds: 2, terms: { maxLossPoints: 2 } });
    await using aggregator = await LyingAggregator.start(fixture, { rootCorrect: 5 });
    await fixture.join('ada', aggregator.address);
    const ada = fixture.participant('ada');
    const finished = await ada.until('finished');
    const verified = ada.events.filter((event) => event.event === 'receipt-verified');
    assert.deepEqual(
      verified.map(({ outcome, reason }) => [outcome, reason]),
      [
        ['skipped', 'GATE_REFUSED'],
        ['skipped', 'GATE_REFUSED'],
      ],
    );
    const { initial } = fixture.federation.content.adapter;
    assert.deepEqual([finished.adapter, finished.folder, finished.rounds], [initial, null, 2]);
  });

  it('does not follow a receipt that hangs on another one', async () => {
    const outcome = await underLies((fixture) => ({
      answer: changingReceipt(fixture, () => ({ previous: fixture.federation.hash })),
    }));
    assert.deepEqual(outcome, { ...notAdopted, code: 'BROKEN_CHAIN', codes: ['BROKEN_CHAIN'] });
  });

  it('does not adopt a round whose updates their senders have not signed', async () => {
    const missing = await underLies(() => ({ evidence: () => [] }));
    assert.deepEqual(missing, { ...notAdopted, code: 'ENVELOPE_UNAVAILABLE', codes: ['ENVELOPE_UNAVAILABLE'] });
    const forged = await underLies((fixture) => ({
      // The right update, under the aggregator's own name.
      evidence: (honest) =>
        honest.map((envelope) => {
          const { type, payload } = decodeEnvelope(envelope, LIMITS.message.value);
          return sealEnvelope(fixture.owner, type, payload).bytes;
        }),
    }));
    assert.deepEqual(forged, { ...notAdopted, code: 'ENVELOPE_UNAVAILABLE', codes: ['ENVELOPE_UNAVAILABLE'] });
  });

  it('stops when the log tells another history than the receipts, and keeps the signed proof', async () => {
    using fixture = await FederationFixture.make({ participants: 1, rounds: 2 });
    const other = (size: number) => {
      const root = merkleRoot(Array.from({ length: size }, (_, i) => Uint8Array.of(i)));
      return {
        checkpoint: signCheckpoint(fixture.owner, { federation: fixture.federation.hash, size, root }),
        proof: [],
      };
    };
    await using liar = await LyingAggregator.start(fixture, { log: () => other(1) });
    await fixture.join('ada', liar.address);
    const failure = await fixture.participant('ada').failure();
    assert.deepEqual([failure.exit, failure.code], [5, 'LOG_FORKED']);
    const { federations } = await nodeStatus(fixture.path('ada'));
    assert.deepEqual(federations[0]!.forks, [{ known: null, found: other(1).checkpoint }]);
  });

  it('stops when the log is cut, or signed by somebody else', async () => {
    using fixture = await FederationFixture.make({ participants: 1, rounds: 2 });
    const stranger = identityFromSeed(new Uint8Array(32).fill(77));
    const root = merkleRoot([]);
    const checkpoint = signCheckpoint(stranger, { federation: fixture.federation.hash, size: 1, root });
    await using liar = await LyingAggregator.start(fixture, { log: (honest) => ({ ...honest, checkpoint }) });
    await fixture.join('ada', liar.address);
    const failure = await fixture.participant('ada').failure();
    assert.deepEqual([failure.exit, failure.code], [5, 'WRONG_AGGREGATOR']);
  });

  it('does not follow a receipt whose signature is not good', async () => {
    const outcome = await underLies((fixture) => {
      const resign = changingReceipt(fixture, () => ({}));
      return {
        answer: (honest) => {
          const answer = resign(honest);
          if (answer !== honest) answer[answer.length - 1]! ^= 1;
          return answer;
        },
      };
    });
    assert.deepEqual(outcome, { ...notAdopted, code: 'BAD_SIGNATURE', codes: ['BAD_SIGNATURE'] });
  });
});
