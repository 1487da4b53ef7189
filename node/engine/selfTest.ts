/**
 * Whether a device computes what it should: one small block with an adapter, forward and backward, against the plain
 * evaluator.
 *
 * Some providers have kernels that are silently wrong. Training on them would neither fail nor learn, so a device is
 * tested before it is used.
 */

import { PrefmeshError } from '../../protocol/errors.ts';
import type { PackingScheme } from './byteTable.ts';
import { attention, causalMask } from './composites/attention.ts';
import { loraLinear } from './composites/loraLinear.ts';
import { quantizedLinear } from './composites/quantizedLinear.ts';
import { rmsNorm } from './composites/rmsNorm.ts';
import { rotary, rotaryFrequencies, rotaryTables } from './composites/rotary.ts';
import { swiglu } from './composites/swiglu.ts';
import { tokenLogProbs } from './composites/tokenLogProbs.ts';
import { gradients } from './derivative.ts';
import type { Device } from './device.ts';
import type { Executor, Placement, Precision } from './executor.ts';
import { constant, input, sizeOf, type Input, type Value } from './graph.ts';
import { add, multiply } from './operators/elementwise.ts';
import { sum } from './operators/broadcasting.ts';
import { reshape } from './operators/layout.ts';
import { matmul } from './operators/matmul.ts';
import { evaluate } from './reference.ts';

/** Largest error of a gradient, relative to its norm. Float32 gives about 1e-6; half precision would still fail. */
const TOLERANCE = 1e-4;

/** The same where activations have ten bits of mantissa: about 1e-3. */
const HALF_TOLERANCE = 2e-2;

const [BATCH, TIME, WIDTH, HEADS, RANK, VOCABULARY] = [2, 3, 8, 2, 2, 11];

/**
 * Throws `DEVICE_WRONG` where the executor's values are not those of the plain evaluator, and `DEVICE_UNAVAILABLE`
 * where the runtime would quietly compute on the processor instead.
 */
export async function testDevice(executor: Executor): Promise<void> {
  await compare(executor, block());
}

/** As `testDevice`, with activations in half precision. Throws `PRECISION_UNSUPPORTED` where the device has none. */
export async function testHalfPrecision(executor: Executor): Promise<void> {
  await compare(executor, block(), { precision: 'float16', tolerance: HALF_TOLERANCE });
}

/** As `testDevice`, for a linear map of packed weights and its gradient. */
export async function testPacking(executor: Executor, scheme: PackingScheme): Promise<void> {
  const [out, width, size] = [16, 64, scheme === 'nf4' ? 64 : 32];
  const packing = { scheme, out, in: width, block: size };
  const codes = Uint8Array.from({ length: (out * width) / 2 }, (_, i) => 37 * i + 11);
  const scales = Float32Array.from({ length: (out * width) / size }, (_, i) => Math.sin(i + 1));
  const x = input('x', [3, width]);
  const packed = { packing, codes: constant(codes, [codes.length]), scales: constant(scales, [scales.length]) };
  const y = quantizedLinear(x, packed);
  const slope = gradients(sum(multiply(y, y), [0, 1]), [x]);
  await compare(executor, { inputs: [x], outputs: { [scheme]: y, [`gradient by ${scheme}`]: slope[0]! } });
}

async function compare(
  executor: Executor,
  { inputs, outputs }: TestGraph,
  { precision, tolerance = TOLERANCE }: { precision?: Precision; tolerance?: number } = {},
): Promise<void> {
  const feeds = Object.fromEntries(
    inputs.map(({ name, shape }, at) => [
      name,
      Float32Array.from({ length: sizeOf(shape) }, (_, i) => Math.sin(7 * i + 3 * at + 1) / 2),
    ]),
  );
  const executable = await executor.compile(outputs, { trace: true, precision });
  const actual = await executable.run(feeds);
  const placement = await executable.placement?.();
  await executable.dispose();
  if (placement !== undefined) checkPlacement(executor.device, placement);
  const expected = evaluate(Object.values(outputs), feeds);
  for (const [i, name] of Object.keys(outputs).entries()) {
    const error = relativeError(actual[name]!, expected[i]!.data);
    // Written so that an error that is not a number fails too.
    if (!(error <= tolerance)) {
      throw new PrefmeshError('DEVICE_WRONG', { device: executor.device, value: name, error: error.toExponential(1) });
    }
  }
}

/** Runtimes give what a device has no kernel for to the processor; a few small nodes are no harm, products are. */
function checkPlacement(device: Device, placement: readonly Placement[]): void {
  if (device === 'cpu') return;
  const products = placement.filter(({ operator }) => PRODUCTS.test(operator));
  const left = products.filter(({ provider }) => provider === 'CPUExecutionProvider').length;
  if (left * 2 <= products.length) return;
  throw new PrefmeshError('DEVICE_UNAVAILABLE', {
    device,
    problem: `it leaves ${left} of ${products.length} matrix products to the processor`,
    remedy: 'use --device cpu, which computes the same without the way there and back',
  });
}

const PRODUCTS = /^(MatMul|FusedMatMul|Gemm)/;

interface TestGraph {
  readonly inputs: readonly Input[];
  readonly outputs: Readonly<Record<string, Value>>;
}

function block(): TestGraph {
  const rows = BATCH * TIME;
  const inputs: Input[] = [];
  const matrix = (name: string, ...shape: number[]): Input => {
    inputs.push(input(name, shape));
    return inputs.at(-1)!;
  };
  const x = matrix('x', rows, WIDTH);
  const norm = matrix('norm', WIDTH);
  const [q, k, v] = [matrix('q', WIDTH, WIDTH), matrix('k', WIDTH / 2, WIDTH), matrix('v', WIDTH / 2, WIDTH)];
  const [a, b] = [matrix('lora A', RANK, WIDTH), matrix('lora B', WIDTH, RANK)];
  const [gate, up, head] = [
    matrix('gate', WIDTH, WIDTH),
    matrix('up', WIDTH, WIDTH),
    matrix('head', VOCABULARY, WIDTH),
  ];

  const positions = constant(
    Int32Array.from({ length: rows }, (_, i) => i % TIME),
    [BATCH, TIME],
  );
  const tables = rotaryTables(TIME, rotaryFrequencies(WIDTH / HEADS, 10_000));
  const inTime = (value: Value, width: number): Value => reshape(value, [BATCH, TIME, width]);
  const normed = rmsNorm(x, norm, 1e-5);
  const queries = rotary(inTime(loraLinear(normed, q, a, b, { scale: 2 }), WIDTH), positions, tables, HEADS);
  const keys = rotary(inTime(matmul(normed, k, { transposeB: true }), WIDTH / 2), positions, tables, HEADS / 2);
  const values = inTime(matmul(normed, v, { transposeB: true }), WIDTH / 2);
  const attended = attention(queries, keys, values, causalMask(TIME), { heads: HEADS, kvHeads: HEADS / 2 });
  const hidden = add(x, reshape(attended, [rows, WIDTH]));
  const gated = swiglu(matmul(hidden, gate, { transposeB: true }), matmul(hidden, up, { transposeB: true }));
  const targets = constant(
    Int32Array.from({ length: rows }, (_, i) => (5 * i) % VOCABULARY),
    [rows],
  );
  const loss = sum(tokenLogProbs(gated, head, targets, { chunk: 4, block: 4, slopes: true }), [0]);
  const slopes = gradients(loss, inputs);
  const outputs = Object.fromEntries(inputs.map(({ name }, i) => [`gradient by ${name}`, slopes[i]!]));
  return { inputs, outputs: { loss, ...outputs } };
}

function relativeError(actual: ArrayLike<number>, expected: Float64Array): number {
  let [difference, size] = [0, 0];
  for (const [i, value] of expected.entries()) {
    difference += (actual[i]! - value) ** 2;
    size += value ** 2;
  }
  return Math.sqrt(difference / size);
}
