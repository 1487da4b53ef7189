/**
 * An adapter as GGUF, which llama.cpp takes with `--lora` and Ollama with `ADAPTER`.
 *
 * Each adapted weight `blk.N.….weight` has a `.lora_a` `[rank, in]` and a `.lora_b` `[out, rank]`; readers scale by
 * `adapter.lora.alpha` over the rank that the tensor shows. Source: llama.cpp (`llama-adapter.cpp`).
 */
import type { ModelConfig } from '../model/config.ts';
import { projectionName } from '../model/projections.ts';
import type { TensorDtype } from '../model/safetensors.ts';
import { withAlpha, type Adapter } from '../training/adapter.ts';
import { FILE_TYPES, writeGguf, type GgufTensor, type WriteGgufOptions } from './ggufFile.ts';
import { ggufArchitecture, ggufTensorName, interleaveHeads, rotatedHeads } from './ggufNames.ts';

export interface GgufAdapterOptions extends WriteGgufOptions {
  readonly dtype: TensorDtype;
  /** Name of the base model, for people. */
  readonly baseModel: string;
}

/**
 * Writes an adapter as GGUF, scale folded in.
 *
 * @throws EXPORT_UNSUPPORTED, EXPORT_RANGE, DISK_FULL, STORAGE_FAILED
 */
export async function writeGgufAdapter(
  file: string,
  adapter: Adapter,
  config: ModelConfig,
  { dtype, baseModel, ...options }: GgufAdapterOptions,
): Promise<void> {
  const architecture = ggufArchitecture(config, baseModel);
  const { rank, vector, table, baseHash } = withAlpha(adapter, adapter.rank);
  const tensors = table.map(({ layer, target, factor, shape, offset }): GgufTensor => {
    const weight = projectionName(layer, target);
    const heads = architecture.interleaved && factor === 'B' ? rotatedHeads(config, weight) : undefined;
    const values = vector.subarray(offset, offset + shape[0] * shape[1]);
    return {
      name: `${ggufTensorName(weight)}.lora_${factor.toLowerCase()}`,
      shape,
      dtype,
      read: () => (heads === undefined ? values : interleaveHeads(values, heads, shape[0])),
    };
  });
  const metadata = {
    'general.architecture': { kind: 'string', value: architecture.name },
    'general.type': { kind: 'string', value: 'adapter' },
    'general.name': { kind: 'string', value: `LoRA adapter of ${baseModel}` },
    'general.file_type': { kind: 'uint32', value: FILE_TYPES[dtype] },
    'adapter.type': { kind: 'string', value: 'lora' },
    'adapter.lora.alpha': { kind: 'float32', value: rank },
    ...(baseHash === null ? {} : { 'prefmesh.base_sha256': { kind: 'string', value: baseHash } as const }),
  } as const;
  await writeGguf(file, metadata, tensors, options);
}
