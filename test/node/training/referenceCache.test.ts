import assert from 'node:assert/strict';
import { mkdtempDisposable, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openCheckpoint } from '../../../node/model/checkpoint.ts';
import { initialAdapter } from '../../../node/training/adapter.ts';
import { trainLocalRound } from '../../../node/training/localRound.ts';
import { Policy, type TokenizedPair } from '../../../node/training/policy.ts';
import { referenceLogProbs, type ReferenceIdentity } from '../../../node/training/referenceCache.ts';

const layout = { rank: 2, targets: ['q_proj'] as const };
const pair = (id: string, ...chosen: number[]): TokenizedPair => ({ id, prompt: [1, 2, 3], chosen, rejected: [7, 8] });
const temporary = () => mkdtempDisposable(join(tmpdir(), 'prefmesh-reference-'));

describe('reference log-probabilities', () => {
  let policy: Policy;
  let identity: ReferenceIdentity;
  let vector: Float32Array;
  before(async () => {
    const checkpoint = await openCheckpoint('test/oracle/llama/model');
    identity = { base: checkpoint.hash, adapter: null, device: 'cpu' };
    vector = initialAdapter(checkpoint.config, layout, 2, 0).vector.fill(0.1);
    policy = await Policy.open({ checkpoint, layout, scale: 1, threads: 1 });
  });
  after(() => policy[Symbol.asyncDispose]());

  /** The figures, and how many pairs the policy was asked for. */
  async function ask(
    pairs: TokenizedPair[],
    changes: Partial<ReferenceIdentity>,
    cacheFolder?: string,
    adapter?: Float32Array,
  ) {
    let asked = 0;
    const counting = {
      logProbs: async (...given: Parameters<Policy['logProbs']>) => {
        asked += given[0].length;
        return policy.logProbs(...given);
      },
    } as Policy;
    const figures = await referenceLogProbs(
      counting,
      pairs,
      { ...identity, ...changes },
      {
        cacheFolder,
        adapter: adapter ?? null,
      },
    );
    return { ...figures, asked };
  }

  it('are those of the policy, in the order of the pairs', async () => {
    const pairs = [pair('a', 4, 5), pair('b', 6), pair('c', 4, 5, 9, 10)];
    const { chosen, rejected } = await policy.logProbs(pairs, null);
    assert.deepEqual(await ask(pairs, {}), { chosen, rejected, asked: 3 });
  });

  it('are computed once for the same tokens, whatever the pair is called and wherever it stands', async () => {
    await using folder = await temporary();
    const first = await ask([pair('a', 4, 5), pair('b', 6)], {}, folder.path);
    const again = await ask([pair('z', 6), pair('new', 9), pair('y', 4, 5)], {}, folder.path);
    assert.deepEqual([first.asked, again.asked], [2, 1]);
    assert.deepEqual([again.chosen[0], again.chosen[2]], [first.chosen[1], first.chosen[0]], 'to the last bit');
    assert.equal((await ask([pair('x', 9), pair('y', 4, 5)], {}, folder.path)).asked, 0);
  });

  it('are computed in the batches asked for, so that rounding is as in training', async () => {
    const pairs = [pair('a', 4, 5), pair('b', 6), pair('c', 4, 5, 9, 10)];
    const seen: string[][] = [];
    const watching = {
      logProbs: (...given: Parameters<Policy['logProbs']>) => {
        seen.push(given[0].map(({ id }) => id));
        return policy.logProbs(...given);
      },
    } as Policy;
    const { chosen } = await referenceLogProbs(watching, pairs, identity, { batches: [[2, 0], [1]] });
    assert.deepEqual(seen, [['c', 'a'], ['b']]);
    const together = await policy.logProbs([pairs[2]!, pairs[0]!], null);
    assert.deepEqual([chosen[2], chosen[0]], [...together.chosen]);
  });

  it('of a batch that is known in part come from the whole batch, and what is known stays', async () => {
    await using folder = await temporary();
    const pairs = [pair('a', 4, 5), pair('b', 6), pair('c', 4, 5, 9, 10)];
    const alone = await ask([pairs[1]!], {}, folder.path);
    const seen: string[][] = [];
    const watching = {
      logProbs: (...given: Parameters<Policy['logProbs']>) => {
        seen.push(given[0].map(({ id }) => id));
        return policy.logProbs(...given);
      },
    } as Policy;
    const batches = [[2, 1], [0]];
    const found = await referenceLogProbs(watching, pairs, identity, { cacheFolder: folder.path, batches });
    assert.deepEqual(seen, [['c', 'b'], ['a']]);
    assert.equal(found.chosen[2], (await policy.logProbs([pairs[2]!, pairs[1]!], null)).chosen[0]);
    assert.equal(found.chosen[1], alone.chosen[0]);
  });

  it('cost no run of the model in a second epoch, another run or a later round', async () => {
    await using folder = await temporary();
    const pairs = [pair('a', 4, 5), pair('b', 6), pair('c', 4, 5, 9, 10)];
    const asked = { reference: 0, gradient: 0 };
    const counting = {
      logProbs: (...given: Parameters<Policy['logProbs']>) => {
        asked.reference += given[0].length;
        return policy.logProbs(...given);
      },
      get trainedTokens() {
        return policy.trainedTokens;
      },
      lossAndGradient: (...given: Parameters<Policy['lossAndGradient']>) => {
        asked.gradient += given[0].length;
        return policy.lossAndGradient(...given);
      },
    } as Policy;
    const terms = {
      ...({
        loss: 'sigmoid',
        beta: 0.1,
        labelSmoothing: null,
        sftWeight: null,
        learningRate: 1e-3,
        schedule: 'constant',
        warmup: 0,
        maxGradNorm: 1,
      } as const),
      ...{ weightDecay: 0, batchSize: 2, steps: 4, maxLength: 64 },
    };
    const { table } = initialAdapter((await openCheckpoint('test/oracle/llama/model')).config, layout, 2, 0);
    let parent = vector;
    for (const [round, factor] of (['A', 'B', 'A'] as const).entries()) {
      const options = { cacheFolder: folder.path };
      const reference = await referenceLogProbs(counting, pairs, identity, options);
      const input = { parent, table, factor, terms, seed: round, reference };
      const { delta } = await trainLocalRound(counting, pairs, input);
      parent = parent.map((x, i) => x + delta[i]!);
    }
    assert.deepEqual(asked, { reference: 3, gradient: 3 * 2 * 3 });
  });

  it('are kept apart by where prompt and completions begin', async () => {
    await using folder = await temporary();
    const moved = { id: 'a', prompt: [1, 2], chosen: [3, 4, 5], rejected: [7, 8] };
    await ask([pair('a', 4, 5)], {}, folder.path);
    assert.equal((await ask([moved], {}, folder.path)).asked, 1);
  });

  it('are kept apart by base, reference adapter, device, and company where it is named', async () => {
    await using folder = await temporary();
    const pairs = [pair('a', 4, 5)];
    await ask(pairs, {}, folder.path);
    for (const change of [{ base: 'f'.repeat(64) }, { adapter: 'x' }, { device: 'webgpu' }, { company: 'b' }]) {
      assert.equal((await ask(pairs, change, folder.path)).asked, 1);
    }
    const anchored = await ask(pairs, { adapter: 'y' }, folder.path, vector);
    assert.notEqual(anchored.chosen[0], (await ask(pairs, {}, folder.path)).chosen[0]);
  });

  it('are computed anew when the file is damaged', async () => {
    await using folder = await temporary();
    const pairs = [pair('a', 4, 5)];
    const { chosen } = await ask(pairs, {}, folder.path);
    const file = join(folder.path, (await readdir(folder.path))[0]!);
    const text = await readFile(file, 'utf8');
    for (const damage of [text.replace(/-(\d)/, '-9$1'), text.slice(0, -3), '', 'x']) {
      await writeFile(file, damage);
      const again = await ask(pairs, {}, folder.path);
      assert.deepEqual([again.asked, again.chosen], [1, chosen]);
    }
    assert.equal(await readFile(file, 'utf8'), text, 'and the file is whole again');
  });

  it('are kept for their owner alone, without tokens', async () => {
    await using folder = await temporary();
    await ask([pair('SECRET', 201, 202, 203)], {}, folder.path);
    const file = join(folder.path, (await readdir(folder.path))[0]!);
    assert.equal((await stat(file)).mode & 0o777, 0o600);
    assert.doesNotMatch(await readFile(file, 'utf8'), /SECRET|201,202/);
  });
});
