/**
 * An adapter as the folder that MLX reads (`mlx_lm.generate --adapter-path`).
 *
 * MLX keeps both factors transposed, computes `y = W x + scale · (x a) b`, and takes the scale as it stands.
 * Source: mlx-lm (`tuner/lora.py`, `tuner/utils.py`).
 */
import { join } from 'node:path';
import type { ModelConfig } from '../model/config.ts';
import { projectionPath } from '../model/projections.ts';
import { writeSafetensors, type TensorDtype } from '../model/safetensors.ts';
import { makeFolder, naming, writeFileAtomic } from '../storage/atomicFile.ts';
import { withAlpha, type Adapter } from '../training/adapter.ts';

export interface MlxAdapterOptions {
  readonly dtype: TensorDtype;
  /** Name of the base model, as others would look for it. */
  readonly baseModel: string;
}

/** @throws EXPORT_RANGE, DISK_FULL, STORAGE_FAILED */
export async function writeMlxAdapter(
  folder: string,
  adapter: Adapter,
  config: ModelConfig,
  { dtype, baseModel }: MlxAdapterOptions,
): Promise<void> {
  const { rank, targets, vector, table, baseHash } = withAlpha(adapter, adapter.rank);
  const tensors = table.map(({ layer, target, factor, shape: [rows, columns], offset }) => {
    return {
      name: `model.layers.${layer}.${projectionPath(target)}.lora_${factor.toLowerCase()}`,
      shape: [columns, rows],
      data: transposed(vector.subarray(offset, offset + rows * columns), rows, columns),
    };
  });
  const settings = {
    fine_tune_type: 'lora',
    lora_parameters: { dropout: 0, keys: targets.map(projectionPath), rank, scale: 1 },
    model: baseModel,
    num_layers: config.layers,
  };
  const metadata = { format: 'mlx', ...(baseHash === null ? {} : { base_sha256: baseHash }) };
  await naming(folder, () => makeFolder(folder));
  await writeFileAtomic(join(folder, 'adapter_config.json'), `${JSON.stringify(settings, null, 2)}\n`, { mode: 0o644 });
  await writeSafetensors(join(folder, 'adapters.safetensors'), tensors, metadata, dtype);
}

/** `values` `[rows, columns]` as `[columns, rows]`. */
function transposed(values: Float32Array, rows: number, columns: number): Float32Array {
  const turned = new Float32Array(values.length);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) turned[column * rows + row] = values[row * columns + column]!;
  }
  return turned;
}
