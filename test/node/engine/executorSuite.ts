/**
 * What every executor must do, as a list of named tests: run here against ONNX Runtime on the CPU, on WebGPU, and
 * against TensorFlow.js.
 */
import assert from 'node:assert/strict';
import { mkdtempDisposable, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { quantizedLinear, type PackedWeights } from '../../../node/engine/composites/quantizedLinear.ts';
import { backward, gradients } from '../../../node/engine/derivative.ts';
import type { Device } from '../../../node/engine/device.ts';
import type { Executor } from '../../../node/engine/executor.ts';
import { constant, input, sizeOf, weight, type Value } from '../../../node/engine/graph.ts';
import { expand, sum } from '../../../node/engine/operators/broadcasting.ts';
import { gatherRows } from '../../../node/engine/operators/indexing.ts';
import { add, multiply } from '../../../node/engine/operators/elementwise.ts';
import { reshape, sliceAxis } from '../../../node/engine/operators/layout.ts';
import { matmul } from '../../../node/engine/operators/matmul.ts';
import { evaluate } from '../../../node/engine/reference.ts';
import { testHalfPrecision } from '../../../node/engine/selfTest.ts';
import { RandomStream } from '../../../node/training/randomStream.ts';
import type { PrefmeshError } from '../../../protocol/errors.ts';
import { assertClose } from './closeness.ts';
import { feedsOf, graphCases, type GraphCase } from './graphCases.ts';
import { ORACLE_CASES } from '../../oracle/oracleCase.ts';
import { checkLayouts, checkOracle, type OracleTolerances } from './oracleAgreement.ts';
import { STORED, weightFile } from './weightFile.ts';

export interface ExecutorUnderTest {
  readonly device: Device;
  readonly executor: Executor;
  /** A further one, to be disposed of. */
  readonly open: () => Promise<Executor>;
  /** Of single operators and their derivatives: absolute plus relative. */
  readonly tolerance: number;
  readonly oracle: OracleTolerances;
  /** Oracle cases that are checked whole, a course of training included; of the others, one pair. */
  readonly whole: (name: string) => boolean;
}

export interface ExecutorTest {
  readonly name: string;
  /** The one device it is about; all if absent. */
  readonly device?: Device;
  readonly run: (subject: ExecutorUnderTest) => Promise<void>;
}

/** The output weighed by fixed random numbers, so that every element of a gradient matters. */
export function seedFor({ output }: GraphCase): Value {
  const random = new RandomStream('output');
  return constant(
    Float32Array.from({ length: sizeOf(output.shape) }, () => 2 * random.uniform() - 1),
    output.shape,
  );
}

/** The graph's output and its gradients by every input, against the plain evaluator. */
export async function checkGraph(executor: Executor, graph: GraphCase, tolerance: number): Promise<void> {
  const outputs = [graph.output, ...backward(graph.output, seedFor(graph), graph.inputs)];
  const names = ['output', ...graph.inputs.map(({ name }) => `gradient by ${name}`)];
  const executable = await executor.compile(Object.fromEntries(names.map((name, i) => [name, outputs[i]!])));
  const feeds = feedsOf(graph, 2);
  const actual = await executable.run(feeds);
  for (const [i, expected] of evaluate(outputs, feeds).entries()) {
    assertClose(actual[names[i]!]!, expected.data, tolerance, names[i]!);
  }
  await executable.dispose();
}

/** A product large enough to be cut in the middle. */
function longRun(extent = 64, products = 20): Record<string, Value> {
  const x = input('x', [extent, extent]);
  let product: Value = x;
  for (let i = 0; i < products; i++) product = matmul(product, x, { alpha: 1 / extent });
  return { y: sum(product, [0, 1]) };
}

const graphs: ExecutorTest[] = graphCases({ a: 2, b: 3, c: 4 }).map((graph) => ({
  name: `computes ${graph.name} and its derivative`,
  run: ({ executor, tolerance }) => checkGraph(executor, graph, tolerance),
}));

const weights: ExecutorTest[] = (['small', 'fast'] as const).map((kept) => ({
  name: `reads float32, float16 and bfloat16 weights out of their file, kept ${kept}`,
  async run({ executor }) {
    await using folder = await mkdtempDisposable(path.join(tmpdir(), 'prefmesh-test-'));
    for (const source of await weightFile(folder.path)) {
      const x = input('x', [1, 3]);
      const outputs = {
        y: matmul(x, weight(source), { transposeB: true }),
        w: multiply(weight(source), input('one', [])),
      };
      const executable = await executor.compile(outputs, { weights: kept });
      const { y, w } = await executable.run({ x: Float32Array.of(1, 10, 100), one: Float32Array.of(1) });
      assert.deepEqual([...w!], STORED, source.dtype);
      assert.deepEqual([...y!], [305.5, 10227.5], source.dtype);
      await executable.dispose();
    }
  },
}));

const contract: ExecutorTest[] = [
  {
    name: 'says which device it is',
    run: async ({ executor, device }) => assert.equal(executor.device, device),
  },
  {
    name: 'takes integers as inputs and gives a scalar back',
    async run({ executor }) {
      const x = input('x', [3], 'int32');
      const table = constant(Float32Array.of(1, 2, 3, 4), [2, 2]);
      const executable = await executor.compile({ y: sum(gatherRows(table, x), [0, 1]) });
      assert.deepEqual([...(await executable.run({ x: Int32Array.of(1, 0, 1) })).y!], [17]);
      await executable.dispose();
    },
  },
  {
    name: 'runs a graph again with other inputs, and keeps two graphs apart',
    async run({ executor }) {
      const x = input('x', [2]);
      const twice = await executor.compile({ y: add(x, x) });
      const square = await executor.compile({ y: multiply(x, x) });
      assert.deepEqual([...(await twice.run({ x: Float32Array.of(1, 2) })).y!], [2, 4]);
      assert.deepEqual([...(await square.run({ x: Float32Array.of(3, 4) })).y!], [9, 16]);
      assert.deepEqual([...(await twice.run({ x: Float32Array.of(-1, 5) })).y!], [-2, 10]);
      await square.dispose();
      assert.deepEqual([...(await twice.run({ x: Float32Array.of(0, 1) })).y!], [0, 2]);
      await twice.dispose();
    },
  },
  {
    name: 'gives an input back as an output, and one value under two names',
    async run({ executor }) {
      const x = input('x', [2]);
      const y = add(x, x);
      const executable = await executor.compile({ same: x, first: y, second: y });
      const outputs = await executable.run({ x: Float32Array.of(1, 2) });
      assert.deepEqual(
        ['same', 'first', 'second'].map((name) => [...outputs[name]!]),
        [
          [1, 2],
          [2, 4],
          [2, 4],
        ],
      );
      await executable.dispose();
    },
  },
  {
    name: 'gives the same bits for the same inputs',
    async run({ executor }) {
      const product = await executor.compile({ y: matmul(input('a', [57, 101]), input('b', [101, 23])) });
      const feeds = {
        a: Float32Array.from({ length: 57 * 101 }, (_, i) => Math.sin(i)),
        b: Float32Array.from({ length: 101 * 23 }, (_, i) => Math.cos(i)),
      };
      const first = await product.run(feeds);
      for (let i = 0; i < 3; i++) assert.deepEqual(await product.run(feeds), first);
      await product.dispose();
    },
  },
  {
    name: 'leaves what it was fed as it was',
    async run({ executor }) {
      const executable = await executor.compile({ y: multiply(input('x', [2]), input('x', [2])) });
      const x = Float32Array.of(2, 3);
      await executable.run({ x });
      assert.deepEqual([...x], [2, 3]);
      await executable.dispose();
    },
  },
  {
    name: 'writes outputs into resident tensors, row by row, and feeds them again',
    async run({ executor }) {
      const step = await executor.compile({ next: add(input('x', [2, 1, 1, 2]), input('one', [])) });
      const cache = await executor.allocate([2, 1, 3, 2]);
      const writes = [{ output: 'next', into: cache, starts: Int32Array.of(0, 2) }];
      const outputs = await step.run({ x: Float32Array.of(1, 2, 3, 4), one: Float32Array.of(1) }, { writes });
      assert.deepEqual(outputs, {});
      const read = await executor.compile({ y: multiply(input('cache', [2, 1, 3, 2]), input('two', [])) });
      const { y } = await read.run({ cache, two: Float32Array.of(2) });
      assert.deepEqual([...y!], [4, 6, 0, 0, 0, 0, 0, 0, 0, 0, 8, 10]);
      await executor.release(cache);
      await step.dispose();
      await read.dispose();
    },
  },
  {
    name: 'takes a resident tensor with data at its allocation',
    async run({ executor }) {
      const held = await executor.allocate([3], Float32Array.of(1, 2, 3));
      assert.deepEqual(held.shape, [3]);
      const executable = await executor.compile({ y: multiply(input('x', [3]), input('x', [3])) });
      assert.deepEqual([...(await executable.run({ x: held })).y!], [1, 4, 9]);
      assert.deepEqual([...(await executable.run({ x: held })).y!], [1, 4, 9]);
      await executor.release(held);
      await executable.dispose();
    },
  },
  {
    name: 'refuses an input that is missing or of another size, and goes on',
    async run({ executor }) {
      const executable = await executor.compile({ y: add(input('x', [2]), input('x', [2])) });
      await assert.rejects(executable.run({ x: Float32Array.of(1) }), /takes \[2\]/);
      await assert.rejects(executable.run({}), /no value was fed for input x/);
      assert.deepEqual([...(await executable.run({ x: Float32Array.of(1, 2) })).y!], [2, 4]);
      await executable.dispose();
    },
  },
  {
    name: 'names the device and the problem when a graph cannot be made ready',
    async run({ executor, device }) {
      await using folder = await mkdtempDisposable(path.join(tmpdir(), 'prefmesh-test-'));
      const [source] = await weightFile(folder.path);
      const cut = { ...source!, offset: 1_000_000 };
      await assert.rejects(executor.compile({ y: add(weight(cut), input('x', [])) }), (error: Error) => {
        assert.equal((error as { code?: string }).code, 'ENGINE_FAILED');
        assert.match(error.message, new RegExp(`failed on device ${device}: .*out of bounds`));
        return true;
      });
    },
  },
  {
    name: 'stops at a signal, before a run and during one, and goes on',
    async run({ executor }) {
      const executable = await executor.compile(longRun());
      const x = Float32Array.from({ length: 64 * 64 }, (_, i) => (i % 7) / 7);
      const reason = new Error('enough');
      const aborted = AbortSignal.abort(reason);
      await assert.rejects(executable.run({ x }, { signal: aborted }), (error) => error === reason);
      const controller = new AbortController();
      const cut = executable.run({ x }, { signal: controller.signal });
      controller.abort(reason);
      await assert.rejects(cut, (error) => error === reason);
      const { y } = await executable.run({ x });
      assert.ok(Number.isFinite(y![0]!));
      await executable.dispose();
    },
  },
  {
    name: 'lets others have the thread while it runs',
    async run({ executor, device }) {
      // Longer than a timer's millisecond: 7 billion operations where they run by the hundred billion a second.
      const [extent, products] = device === 'cpu' ? [256, 200] : [128, 40];
      const executable = await executor.compile(longRun(extent, products));
      let turns = 0;
      const ticking = setInterval(() => turns++, 0);
      await executable.run({ x: new Float32Array(extent ** 2).fill(1) });
      clearInterval(ticking);
      await executable.dispose();
      assert.ok(turns > 0);
    },
  },
  {
    name: 'queues runs that are asked for at once',
    async run({ executor }) {
      const executable = await executor.compile({ y: multiply(input('x', [1]), input('x', [1])) });
      const runs = [1, 2, 3, 4].map((value) => executable.run({ x: Float32Array.of(value) }));
      const results = (await Promise.all(runs)).map(({ y }) => y![0]);
      assert.deepEqual(results, [1, 4, 9, 16]);
      await executable.dispose();
    },
  },
  {
    name: 'refuses work after it was disposed of',
    async run({ open }) {
      const executor = await open();
      const executable = await executor.compile({ y: add(input('x', []), input('x', [])) });
      await executor[Symbol.asyncDispose]();
      await assert.rejects(executable.run({ x: Float32Array.of(1) }), { code: 'ENGINE_FAILED' });
      await assert.rejects(executor.compile({ y: add(input('x', []), input('x', [])) }), { code: 'ENGINE_FAILED' });
    },
  },
];

/** A tensor of so many rows and columns on the way. */
const large = (extent: number): Record<string, Value> => {
  const x = expand(input('x', [1]), [extent, extent]);
  return { y: sum(multiply(x, x), [0, 1]) };
};

const memory: ExecutorTest[] = [
  {
    name: 'says that memory is short where a tensor is too large, and goes on',
    async run({ executor, device }) {
      const executable = await executor.compile(large(2 ** 20));
      await assert.rejects(executable.run({ x: Float32Array.of(1) }), (error: PrefmeshError) => {
        assert.equal(error.code, 'OUT_OF_MEMORY');
        assert.match(error.message, new RegExp(`device ${device} has not enough memory`));
        assert.match(error.fix, /--token-budget/);
        return true;
      });
      await executable.dispose();
      const small = await executor.compile(large(16));
      assert.deepEqual([...(await small.run({ x: Float32Array.of(2) })).y!], [1024]);
      await small.dispose();
    },
  },
  {
    name: 'says so where a tensor is within the address space and beyond the largest buffer',
    device: 'webgpu',
    async run({ executor }) {
      const executable = await executor.compile(large(2 ** 15));
      await assert.rejects(executable.run({ x: Float32Array.of(1) }), { code: 'OUT_OF_MEMORY' });
      await executable.dispose();
    },
  },
];

const precision: ExecutorTest[] = [
  {
    name: 'refuses half precision, which it does not have',
    run: ({ executor }) => assert.rejects(testHalfPrecision(executor), { code: 'PRECISION_UNSUPPORTED' }),
  },
];

/** A packed weight and its scales in a file: `[2, 64]` in NF4. */
async function packedWeights(folder: string): Promise<PackedWeights> {
  const file = path.join(folder, 'packed.bin');
  const bytes = new Uint8Array(64 + 8);
  for (let i = 0; i < 64; i++) bytes[i] = 37 * i;
  new DataView(bytes.buffer).setFloat32(64, 0.5, true);
  new DataView(bytes.buffer).setFloat32(68, 2, true);
  await writeFile(file, bytes);
  return {
    packing: { scheme: 'nf4', out: 2, in: 64, block: 64 },
    codes: weight({ name: 'codes', dtype: 'U8', shape: [64], file, offset: 0, bytes: 64 }),
    scales: weight({ name: 'scales', dtype: 'F32', shape: [2], file, offset: 64, bytes: 8 }),
  };
}

const placement: ExecutorTest[] = [
  {
    name: 'multiplies by packed weights out of their file, and unpacks them at each use',
    async run({ executor, tolerance }) {
      await using folder = await mkdtempDisposable(path.join(tmpdir(), 'prefmesh-test-'));
      const x = input('x', [3, 64]);
      // Beside a half-precision weight, which not every device can convert by itself.
      const [, half] = await weightFile(folder.path);
      const widened = reshape(sliceAxis(weight(half!), 1, 0, 2), [1, 4]);
      const packed = quantizedLinear(x, await packedWeights(folder.path));
      const y = multiply(reshape(packed, [6, 1]), widened);
      const outputs = { y, slope: gradients(sum(multiply(y, y), [0, 1]), [x])[0]! };
      const executable = await executor.compile(outputs, { trace: true });
      const feeds = { x: Float32Array.from({ length: 192 }, (_, i) => Math.sin(i)) };
      const actual = await executable.run(feeds);
      for (const [i, expected] of evaluate([outputs.y, outputs.slope], feeds).entries())
        assertClose(actual[['y', 'slope'][i]!]!, expected.data, tolerance, ['y', 'slope'][i]!);
      const nodes = await executable.placement?.();
      await executable.dispose();
      // A runtime that unpacked them once, for good, would have no use for the table any more.
      if (nodes !== undefined) assert.ok(nodes.some(({ operator }) => operator === 'Gather'));
      const left = nodes?.filter(({ provider }) => provider === 'CPUExecutionProvider') ?? [];
      if (executor.device !== 'cpu') assert.deepEqual(left, []);
    },
  },
  {
    name: 'leaves nothing to the processor',
    device: 'webgpu',
    async run({ executor }) {
      const leftBy: Record<string, string[]> = {};
      for (const graph of graphCases({ a: 2, b: 3, c: 4 })) {
        const outputs = [graph.output, ...backward(graph.output, seedFor(graph), graph.inputs)];
        const named = Object.fromEntries(outputs.map((output, i) => [`y${i}`, output]));
        const executable = await executor.compile(named, { trace: true });
        await executable.run(feedsOf(graph, 3));
        const nodes = await executable.placement!();
        await executable.dispose();
        assert.ok(nodes.length > 0);
        const left = nodes.filter(({ provider }) => provider !== 'WebGpuExecutionProvider');
        if (left.length > 0) leftBy[graph.name] = left.map(({ operator }) => operator);
      }
      assert.deepEqual(leftBy, {});
    },
  },
];

const layouts: ExecutorTest[] = [
  {
    name: 'gets the same gradient with activations computed twice, and with a row for each completion',
    run: ({ device, oracle }) => checkLayouts('llama', device, Math.max(oracle.gradient, 1e-5)),
  },
];

const oracles: ExecutorTest[] = ORACLE_CASES.map((name) => ({
  name: `agrees with the oracle, ${name}`,
  run: ({ device, oracle, whole }) => checkOracle(name, device, oracle, whole(name)),
}));

/** All tests of a device, in order. */
export function executorTests(device: Device): ExecutorTest[] {
  const lacksHalf = device === 'cpu' ? [] : precision;
  return [...graphs, ...weights, ...contract, ...memory, ...lacksHalf, ...placement, ...layouts, ...oracles].filter(
    (test) => {
      return test.device === undefined || test.device === device;
    },
  );
}
