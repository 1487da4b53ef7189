/**
 * What executors do with the tensors they are given, alike everywhere.
 */

import type { ResidentTensor, TensorData } from './executor.ts';
import { shapeText, sizeOf, type Input, type Shape } from './graph.ts';

/** Throws a plain `Error`, a fault of the caller, where an input has no value or one of another size. */
export function checkFeeds(
  inputs: readonly Input[],
  feeds: Readonly<Record<string, TensorData | ResidentTensor>>,
): void {
  for (const { name, shape } of inputs) {
    const feed = feeds[name];
    if (feed === undefined) throw new Error(`no value was fed for input ${name}`);
    const size = 'id' in feed ? sizeOf(feed.shape) : feed.length;
    if (size !== sizeOf(shape)) throw new Error(`input ${name} takes ${shapeText(shape)}, not ${size} numbers`);
  }
}

interface Held {
  readonly data: ArrayLike<number>;
  readonly shape: Shape;
}

/** Copies `[rows, groups, time, width]` into `[rows, groups, longer, width]`, row `i` from time `starts[i]` on. */
export function writeRows(from: Held, into: Held & { readonly data: Float32Array }, starts: Int32Array): void {
  const [rows, groups, time, width] = from.shape as [number, number, number, number];
  const longer = into.shape[2]!;
  const source = from.data as Float32Array;
  for (let row = 0; row < rows; row++) {
    for (let group = 0; group < groups; group++) {
      const block = row * groups + group;
      const part = source.subarray(block * time * width, (block + 1) * time * width);
      into.data.set(part, (block * longer + starts[row]!) * width);
    }
  }
}
