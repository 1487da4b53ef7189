import assert from 'node:assert/strict';
import { copyFileSync } from 'node:fs';
import { initialAdapterBlob } from '../../aggregator/createFederation.ts';
import { openCheckpoint } from '../../node/model/checkpoint.ts';
import { consentTerms, consentText } from '../../node/participant/consent.ts';
import { readFederationFile } from '../../node/participant/federationFile.ts';
import { openPairsFile, tokenized } from '../../node/participant/pairsFile.ts';
import { initialAdapter } from '../../node/training/adapter.ts';
import { trainLocalRound } from '../../node/training/localRound.ts';
import { Policy } from '../../node/training/policy.ts';
import { adapterVectorTable } from '../../node/training/adapterVector.ts';
import { isPrefmeshError } from '../../protocol/errors.ts';
import { openManifest, type Manifest } from '../../protocol/manifest.ts';
import { blobBytes } from '../../protocol/tensorBlob.ts';
import { dequantize, factorTable, norm, quantize } from '../../protocol/update.ts';
import { FederationFixture, MODEL } from './federationFixture.ts';
import { attempt, run } from './program.ts';

describe('a federation that is created', function () {
  this.timeout(60_000);
  let fixture: FederationFixture;
  before(async () => {
    fixture = await FederationFixture.make({ participants: 1 });
  });
  after(() => fixture[Symbol.dispose]());

  it('is signed, commits to both sets, and starts from an adapter that anybody can make again', async () => {
    const { content, bytes, hash } = openManifest(fixture.federation.bytes, fixture.federation.hash);
    assert.equal(hash, fixture.federation.hash);
    assert.equal(bytes, fixture.federation.bytes);
    const checkpoint = await openCheckpoint(MODEL);
    assert.equal(content.base.hash, checkpoint.hash);
    const set = await openPairsFile(fixture.evaluationPairs, checkpoint);
    assert.deepEqual(content.evaluation.evaluationSet, { sha256: set.sha256, pairs: 12 });
    const initial = initialAdapterBlob(checkpoint, content.adapter, content.update.fixedPointBits);
    assert.equal(initial.hash, content.adapter.initial);
  });

  it('is refused where the sets share a prompt, naming both pairs', async () => {
    using other = await FederationFixture.make({ participants: 1 });
    copyFileSync(other.evaluationPairs, other.path('same.jsonl'));
    await assert.rejects(
      FederationFixture.make({ participants: 1, terms: { rootPairs: other.path('same.jsonl') } }),
      (error) => isPrefmeshError(error, 'SETS_OVERLAP') && /evaluation-0/.test(error.message),
    );
  });

  it('is refused with a quorum that its rule cannot combine or nobody can reach, before anything is opened', () => {
    const quorum = (...options: string[]) =>
      attempt(
        ...['federation', 'create', '--home', fixture.path('nobody'), '--name', 'x', '--model', 'nowhere'],
        ...['--evaluation-pairs', 'none', '--root-pairs', 'none', '--out', fixture.path('x.federation'), ...options],
      );
    const robust = quorum('--quorum', '2');
    assert.equal(robust.status, 2);
    assert.match(
      robust.stderr,
      /^error USAGE: a quorum of 2 is too small for the rule robust, which needs 3 updates$/m,
    );
    assert.match(robust.stderr, /^fix: pass --quorum 3 or more, or one of these with --rule: alternating, mean, /m);
    assert.match(quorum('--quorum', '4', '--rule', 'krum').stderr, /rule krum, which needs 5 updates/);
    assert.match(quorum('--quorum', '5', '--max-participants', '4').stderr, /cannot be had of at most 4 participants/);
  });

  it('has a norm bound that training stays below, and rounds that repeat', async () => {
    const { content } = fixture.federation;
    const checkpoint = await openCheckpoint(MODEL);
    const { rank, alpha, targets } = content.adapter;
    await using policy = await Policy.open({ checkpoint, layout: { rank, targets }, scale: alpha / rank, threads: 1 });
    const pairs = await tokenized((await openPairsFile(fixture.pairs('ada'), checkpoint)).pairs, checkpoint, 128);
    const table = adapterVectorTable(checkpoint.config, { rank, targets });
    const { tensors } = initialAdapterBlob(checkpoint, content.adapter, content.update.fixedPointBits);
    const parent = dequantize(tensors, table, policy.parameterCount);
    const before = parent.slice();
    const reference = await policy.logProbs(pairs, null);
    const round = { parent, table, terms: content.training, seed: 3, reference };
    for (const factor of ['A', 'B', 'both'] as const) {
      const trained = await trainLocalRound(policy, pairs, { ...round, factor });
      const again = await trainLocalRound(policy, pairs, { ...round, factor });
      assert.deepEqual(trained.delta, again.delta, 'a round does not repeat');
      const length = norm(quantize(trained.delta, trained.entries, content.update.fixedPointBits));
      assert.ok(length < content.update.normBound, `${factor}: ${length} of ${content.update.normBound}`);
      const outside = table.filter((entry) => factor !== 'both' && entry.factor !== factor);
      for (const { offset, shape } of outside) {
        assert.ok(trained.delta.subarray(offset, offset + shape[0] * shape[1]).every((value) => value === 0));
      }
    }
    assert.deepEqual(parent, before, 'the parent was changed');
    const other = await trainLocalRound(policy, pairs, { ...round, factor: 'B', seed: 4 });
    assert.notDeepEqual(other.delta, (await trainLocalRound(policy, pairs, { ...round, factor: 'B' })).delta);
  });

  it('signs the loss that it is asked for, and participants train with it', async () => {
    const created = (...args: string[]) => {
      const [line] = run(
        ...['federation', 'create', '--home', fixture.path('aggregator'), '--name', 'losses', '--model', MODEL],
        ...['--evaluation-pairs', fixture.evaluationPairs, '--root-pairs', fixture.rootPairs],
        ...['--rank', '4', '--targets', 'q_proj,v_proj', '--steps-per-round', '1', '--max-length', '128'],
        ...['--out', fixture.path('losses.federation'), ...args],
      );
      return line!.manifest as Manifest;
    };
    const ipo = created('--loss', 'ipo', '--beta', '0.2');
    const smoothed = created('--loss', 'cdpo', '--label-smoothing', '0.3', '--sft-weight', '0.5');
    const { loss, beta, labelSmoothing, sftWeight } = smoothed.training;
    assert.deepEqual([loss, beta, labelSmoothing, sftWeight], ['cdpo', 0.1, 0.3, 0.5]);
    const signed = await readFederationFile(fixture.path('losses.federation'));
    assert.match(
      consentText(consentTerms(signed, null)),
      /loss {7}cdpo, beta 0.1, label smoothing 0.3, SFT weight 0.5/,
    );

    const { rank, alpha, targets } = ipo.adapter;
    const checkpoint = await openCheckpoint(MODEL);
    await using policy = await Policy.open({ checkpoint, layout: { rank, targets }, scale: alpha / rank, threads: 1 });
    const pairs = await tokenized((await openPairsFile(fixture.pairs('ada'), checkpoint)).pairs, checkpoint, 128);
    const table = adapterVectorTable(checkpoint.config, { rank, targets });
    const reference = await policy.logProbs(pairs, null);
    const parent = initialAdapter(checkpoint.config, { rank, targets }, alpha, 1).vector;
    const firstStep = async ({ training: terms }: Manifest) => {
      const round = { parent, table, terms, seed: 3, reference, factor: 'B' } as const;
      return (await trainLocalRound(policy, pairs, round)).steps[0]!;
    };
    // The adapter changes nothing yet, so the margin is zero: (0 - 1 / (2 · 0.2))², and ln 2 whatever the smoothing.
    assert.equal((await firstStep(ipo)).loss, 6.25);
    const { loss: whole, sft_loss: likelihood } = await firstStep(smoothed);
    assert.ok(Math.abs(whole - (Math.LN2 + 0.5 * likelihood!)) < 1e-12);
  });

  it('says before anything is sent what leaves the machine, to the byte', async () => {
    const { config } = await openCheckpoint(MODEL);
    const terms = consentTerms(fixture.federation, config);
    const table = adapterVectorTable(config, fixture.federation.content.adapter).toSorted((a, b) =>
      a.name < b.name ? -1 : 1,
    );
    const [a, b] = [blobBytes(factorTable(table, 'A')), blobBytes(factorTable(table, 'B'))];
    assert.deepEqual(terms.update, { tensors: table.length / 2, bytes: Math.max(a, b) });
    assert.equal(terms.totalBytes, a + b);
    const text = consentText(terms);
    assert.match(text, new RegExp(fixture.federation.hash));
    assert.match(text, /can leak training text/);
  });
});
