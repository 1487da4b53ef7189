/**
 * The quantised projections of a checkpoint as one safetensors file.
 *
 * Its bytes follow from the numbers of the projections, the scheme and `QUANTIZATION_VERSION` alone: not from how the
 * checkpoint is cut into files, nor from whether it holds them in 16 or 32 bits. So its SHA-256 names a quantised base,
 * and peers compare it. Embeddings, head, norms and biases are not in it; they stay as they are in the checkpoint.
 */
import { PrefmeshError } from '../../../protocol/errors.ts';
import type { Checkpoint } from '../checkpoint.ts';
import type { ModelConfig } from '../config.ts';
import { projectionName, projectionShape, TARGET_MODULES } from '../projections.ts';
import { readPackedIndex, readTensor, type StoredDtype, type TensorLocation } from '../safetensors.ts';
import { streamSafetensors } from '../safetensorsStream.ts';
import {
  fitsScheme,
  locateQuantized,
  planQuantized,
  quantizedParts,
  type MatrixShape,
  type QuantizedTensor,
} from './quantizedTensors.ts';
import type { QuantizationScheme } from './scheme.ts';

/** Rises when the same numbers would give other bits. */
export const QUANTIZATION_VERSION = 1;

export interface QuantizeOptions {
  readonly signal?: AbortSignal | undefined;
  /** Told how many of the projections are done. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

/**
 * Quantises a checkpoint's projections one by one into `file`; gives back its SHA-256.
 *
 * @throws QUANTIZATION_UNFIT, WEIGHTS_INVALID, DISK_FULL, STORAGE_FAILED
 */
export async function writeQuantizedFile(
  file: string,
  checkpoint: Checkpoint,
  scheme: QuantizationScheme,
  { signal, onProgress }: QuantizeOptions = {},
): Promise<string> {
  const projections = [...projectionsOf(checkpoint.config)];
  for (const [name, shape] of projections) {
    if (fitsScheme(scheme, shape)) continue;
    throw new PrefmeshError('QUANTIZATION_UNFIT', { tensor: name, shape: `[${shape.join(', ')}]`, scheme });
  }
  const plan = projections.flatMap(([name, shape]) => planQuantized(scheme, name, shape));
  const metadata = { format: 'pt', quantization: `${scheme} ${QUANTIZATION_VERSION}` };
  return streamSafetensors(file, plan, partsOf(checkpoint, scheme, projections, onProgress), { metadata, signal });
}

/** The quantised weights of a file by name. @throws WEIGHTS_INVALID, TENSOR_MISSING, TENSOR_SHAPE */
export function readQuantizedFile(file: string, config: ModelConfig): Map<string, QuantizedTensor> {
  const { tensors } = readPackedIndex(file);
  const found = quantizedAmong(tensors, config);
  for (const [name] of projectionsOf(config)) {
    if (!found.has(name)) throw new PrefmeshError('TENSOR_MISSING', { file, tensor: name });
  }
  return found;
}

/** Those projections that are quantised among the given tensors. */
export function quantizedAmong(
  tensors: ReadonlyMap<string, TensorLocation<StoredDtype>>,
  config: ModelConfig,
): Map<string, QuantizedTensor> {
  const found = new Map<string, QuantizedTensor>();
  for (const [name, shape] of projectionsOf(config)) {
    const tensor = locateQuantized(tensors, name, shape);
    if (tensor !== undefined) found.set(name, tensor);
  }
  return found;
}

/** The projections' weights, layer by layer. */
export function* projectionsOf(config: ModelConfig): Iterable<[name: string, shape: MatrixShape]> {
  for (let layer = 0; layer < config.layers; layer++) {
    for (const target of TARGET_MODULES) yield [projectionName(layer, target), projectionShape(config, target)];
  }
}

function* partsOf(
  { tensors }: Checkpoint,
  scheme: QuantizationScheme,
  projections: readonly [name: string, shape: MatrixShape][],
  onProgress: QuantizeOptions['onProgress'],
): Iterable<Uint8Array> {
  for (const [done, [name, shape]] of projections.entries()) {
    const location = tensors.get(name)!;
    const weights = readTensor(location);
    if (!weights.every(Number.isFinite)) {
      const problem = 'holds a value that is not finite, which cannot be quantised';
      throw new PrefmeshError('WEIGHTS_INVALID', { file: location.file, tensor: name, problem });
    }
    yield* quantizedParts(scheme, weights, shape);
    onProgress?.(done + 1, projections.length);
  }
}
