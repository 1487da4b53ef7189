/**
 * AdamW with clipping in two places: in typed arrays of this process, and as a graph on the device. The vector is that of rank 16 on q, k, v and o at SmolLM2-135M dimensions.
 */
import type { TensorData } from '../../../node/engine/executor.ts';
import { input, scalar, type Value } from '../../../node/engine/graph.ts';
import { openExecutor } from '../../../node/engine/openExecutor.ts';
import { sum } from '../../../node/engine/operators/broadcasting.ts';
import { add, divide, multiply, squareRoot, subtract } from '../../../node/engine/operators/elementwise.ts';
import { AdamW, clipGradient, globalNorm } from '../../../node/training/optimizer.ts';
import { RandomStream } from '../../../node/training/randomStream.ts';
import type { BenchSettings, SectionResult } from '../section.ts';
import { show, spreadOf } from '../statistics.ts';

/** 30 layers of (576 + 576) · 2 + (576 + 192) · 2 numbers for each of 16 ranks. */
const PARAMETERS = 30 * 16 * ((576 + 576) * 2 + (576 + 192) * 2);
const RATE = 1e-4;
const WARM_UP = 3;

export async function optimizerSection(settings: BenchSettings): Promise<SectionResult[]> {
  const random = new RandomStream('benchmark gradient');
  const gradient = Float32Array.from({ length: PARAMETERS }, () => random.uniform() - 0.5);
  const parameters = gradient.map((x) => x / 10);
  const optimizer = new AdamW(PARAMETERS);
  const inArrays = (): number => {
    const own = gradient.slice();
    const started = performance.now();
    clipGradient(own, globalNorm(own), 1);
    optimizer.update(parameters, own, RATE);
    return performance.now() - started;
  };

  await using executor = await openExecutor(settings);
  const graph = await executor.compile(adamWGraph());
  let state: Record<string, TensorData> = {
    first: new Float32Array(PARAMETERS),
    second: new Float32Array(PARAMETERS),
    parameters: gradient.map((x) => x / 10),
  };
  let step = 0;
  const inGraph = async (): Promise<number> => {
    step++;
    const started = performance.now();
    const corrections = {
      rate: Float32Array.of(RATE / (1 - 0.9 ** step)),
      secondScale: Float32Array.of(1 - 0.999 ** step),
    };
    const next = await graph.run({ ...state, gradient, ...corrections });
    state = { parameters: next['nextParameters']!, first: next['nextFirst']!, second: next['nextSecond']! };
    return performance.now() - started;
  };

  const times = { arrays: [] as number[], graph: [] as number[] };
  for (let run = 0; run < WARM_UP + 5 * settings.runs; run++) {
    const [arrays, onDevice] = [inArrays(), await inGraph()];
    if (run < WARM_UP) continue;
    times.arrays.push(arrays);
    times.graph.push(onDevice);
  }
  const apart = parameters.reduce((most, x, i) => Math.max(most, Math.abs(x - state['parameters']![i]!)), 0);
  return [
    {
      title: `AdamW and clipping of ${PARAMETERS.toLocaleString('en')} parameters`,
      columns: ['where', 'ms'],
      rows: [
        ['typed arrays', show(spreadOf(times.arrays))],
        [`a graph on ${settings.device}`, show(spreadOf(times.graph))],
      ],
      notes: [`Parameters agree to ${apart.toExponential(1)} after ${step} steps.`],
    },
  ];
}

function adamWGraph(): Record<string, Value> {
  const vector = (name: string): Value => input(name, [PARAMETERS]);
  const [parameters, raw, m, v] = [vector('parameters'), vector('gradient'), vector('first'), vector('second')];
  const norm = squareRoot(sum(multiply(raw, raw), [0]));
  // The random gradient is always longer than 1, so it is always shortened.
  const gradient = divide(raw, add(norm, scalar(1e-6)));
  const first = add(multiply(m, scalar(0.9)), multiply(gradient, scalar(0.1)));
  const second = add(multiply(v, scalar(0.999)), multiply(multiply(gradient, gradient), scalar(0.001)));
  const scale = add(squareRoot(divide(second, input('secondScale', []))), scalar(1e-8));
  const stepped = subtract(parameters, divide(multiply(first, input('rate', [])), scale));
  return { nextParameters: stepped, nextFirst: first, nextSecond: second };
}
