import assert from 'node:assert/strict';
import { mkdtempDisposable, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { backward, gradients } from '../../../node/engine/derivative.ts';
import type { Executor } from '../../../node/engine/executor.ts';
import { input, weight, type Value } from '../../../node/engine/graph.ts';
import { OnnxRuntimeExecutor } from '../../../node/engine/onnxruntime.ts';
import { activation } from '../../../node/engine/operators/activation.ts';
import { sum } from '../../../node/engine/operators/broadcasting.ts';
import { add, multiply, negate } from '../../../node/engine/operators/elementwise.ts';
import { matmul } from '../../../node/engine/operators/matmul.ts';
import { logSoftmax } from '../../../node/engine/operators/softmax.ts';
import { testHalfPrecision } from '../../../node/engine/selfTest.ts';
import { openCheckpoint } from '../../../node/model/checkpoint.ts';
import { Tokenizer } from '../../../node/model/tokenizer.ts';
import { readPairs } from '../../../node/preferences/pairs.ts';
import { readPeftAdapter } from '../../../node/training/peft.ts';
import { Policy } from '../../../node/training/policy.ts';
import { tokenizePairs } from '../../../node/training/tokenization.ts';
import type { OracleCase } from '../../oracle/oracleCase.ts';
import { relativeError } from './closeness.ts';
import { seedFor } from './executorSuite.ts';
import { feedsOf, graphCases } from './graphCases.ts';
import { weightFile } from './weightFile.ts';

// The CPU computes a node in float32 where no neighbour has half precision: hence the negations.
describe('activations in half precision', () => {
  let executor: Executor;
  before(async () => {
    executor = await OnnxRuntimeExecutor.open({ threads: 1 });
  });
  after(() => executor[Symbol.asyncDispose]());

  const compute = async (y: Value, x: readonly number[], precision: 'float32' | 'float16'): Promise<number[]> => {
    const executable = await executor.compile({ y }, { precision });
    const { y: result } = await executable.run({ x: Float32Array.from(x) });
    await executable.dispose();
    return [...result!];
  };
  const x = input('x', [1, 2]);
  /** Not a number of half precision, whose neighbours near 1 are 2⁻¹⁰ apart. */
  const fine = 1 + 2 ** -14;

  it('round what is marked as held, and nothing at all in float32', async () => {
    assert.deepEqual(await compute(activation(x), [fine, 3], 'float16'), [1, 3]);
    assert.deepEqual(await compute(activation(x), [fine, 3], 'float32'), [fine, 3]);
  });

  it('round the operands of products, but of exact ones not', async () => {
    const rounded = negate(matmul(x, x, { transposeB: true }));
    assert.deepEqual(await compute(rounded, [fine, 0], 'float16'), [-1]);
    const exact = negate(matmul(x, x, { transposeB: true, exact: true }));
    assert.deepEqual(await compute(exact, [fine, 0], 'float16'), [-Math.fround(fine * fine)]);
  });

  it('are added to float32 in float32', async () => {
    assert.deepEqual(await compute(add(activation(x), x), [fine, 3], 'float16'), [2 + 2 ** -14, 6]);
    const square = negate(multiply(activation(x), activation(x)));
    assert.deepEqual(await compute(square, [300, 2], 'float16'), [-Infinity, -4]);
  });

  it('are summed, and made into log-probabilities, in float32', async () => {
    const many = input('x', [1, 5000]);
    const total = await compute(
      sum(activation(many), [1]),
      Array.from({ length: 5000 }, () => 1),
      'float16',
    );
    assert.deepEqual(total, [5000]);
    const [, least] = await compute(logSoftmax(activation(x)), [0, -100.0625], 'float16');
    assert.ok(Math.abs(least! + 100.0625) < 1e-5);
  });

  it('stop short of the head: log-probabilities and their derivative are those of float32, bit by bit', async () => {
    const graph = graphCases({ a: 2, b: 3, c: 4 }).find(({ name }) => name.startsWith('tokenLogProbs'))!;
    const outputs = [graph.output, ...backward(graph.output, seedFor(graph), graph.inputs)];
    const named = Object.fromEntries(outputs.map((output, i) => [`y${i}`, output]));
    const [full, half] = await Promise.all(
      (['float32', 'float16'] as const).map(async (precision) => {
        return (await executor.compile(named, { precision })).run(feedsOf(graph, 5));
      }),
    );
    assert.deepEqual(half, full);
  });

  it('go with weights of every storage type', async () => {
    await using folder = await mkdtempDisposable(path.join(tmpdir(), 'prefmesh-test-'));
    for (const source of await weightFile(folder.path)) {
      const row = input('x', [1, 3]);
      const y = negate(matmul(activation(row), weight(source), { transposeB: true }));
      assert.deepEqual(await compute(y, [1, 10, 100], 'float16'), [-305.5, -10224], source.dtype);
      const slope = gradients(sum(y, [0, 1]), [row])[0]!;
      assert.deepEqual(await compute(slope, [1, 10, 100], 'float16'), [-0.5, -1022, -3.125], source.dtype);
    }
  });

  it('pass the self-test of half precision, which full precision would pass with ease', () =>
    testHalfPrecision(executor));
});

describe('a policy in half precision', function () {
  this.timeout(60_000);

  for (const name of ['llama', 'llama-f16', 'qwen3', 'smollm3']) {
    it(`stays near the independent implementation, ${name}`, async () => {
      const folder = path.join('test/oracle', name);
      const expected = JSON.parse(await readFile(path.join(folder, 'expected.json'), 'utf8')) as OracleCase;
      const checkpoint = await openCheckpoint(path.join(folder, 'model'));
      const tokenizer = await Tokenizer.open(checkpoint.folder);
      const { pairs } = tokenizePairs(tokenizer, await readPairs(path.join(folder, 'pairs.jsonl')), { maxLength: 512 });
      const adapter = await readPeftAdapter(path.join(folder, 'adapter'), checkpoint.config);
      const shared = { checkpoint, layout: adapter, scale: adapter.alpha / adapter.rank, threads: 1 };
      await using half = await Policy.open({ ...shared, precision: 'float16' });
      await using full = await Policy.open(shared);

      const scored = await half.logProbs(pairs, adapter.vector);
      const exact = await full.logProbs(pairs, adapter.vector);
      assert.notDeepEqual(scored, exact);
      for (const { id, chosen, rejected } of expected.score) {
        const at = pairs.findIndex((pair) => pair.id === id);
        assert.ok(Math.abs(scored.chosen[at]! - chosen) < 1e-3 * Math.abs(chosen), id);
        assert.ok(Math.abs(scored.rejected[at]! - rejected) < 1e-3 * Math.abs(rejected), id);
      }

      const terms = { loss: 'sigmoid', beta: expected.beta } as const;
      const reference = await full.logProbs(pairs, null);
      const { loss, gradient } = await half.lossAndGradient(pairs, adapter.vector, reference, terms);
      assert.ok(Math.abs(loss - expected.loss0) < 2e-3, `loss ${loss}`);
      const right = await full.lossAndGradient(pairs, adapter.vector, reference, terms);
      const error = relativeError(gradient, right.gradient);
      assert.ok(error > 1e-5 && error < 1e-2, `gradient off by ${error}`);
    });
  }
});
