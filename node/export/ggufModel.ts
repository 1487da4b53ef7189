/**
 * A whole model as GGUF: weights, the numbers of its configuration, tokenizer and chat template.
 *
 * What llama.cpp's architecture of the same name cannot compute is refused, for it would compute something else
 * without a word. Source: llama.cpp (`models/*.cpp`, `llama-model.cpp`, `gguf-py/gguf/constants.py`).
 */
import { PrefmeshError } from '../../protocol/errors.ts';
import type { Checkpoint } from '../model/checkpoint.ts';
import type { ModelConfig } from '../model/config.ts';
import { scaledFrequencies } from '../model/rotaryScaling.ts';
import { readWeight } from '../model/quantization/plainWeights.ts';
import type { TensorDtype } from '../model/safetensors.ts';
import type { Tokenizer } from '../model/tokenizer.ts';
import { expectedTensors } from '../model/weights.ts';
import { chatTemplateSource } from './chatTemplateSource.ts';
import {
  FILE_TYPES,
  ggufTensorSize,
  writeGguf,
  type GgufTensor,
  type GgufValue,
  type WriteGgufOptions,
} from './ggufFile.ts';
import { ggufArchitecture, ggufTensorName, interleaveHeads, rotatedHeads, type GgufArchitecture } from './ggufNames.ts';
import { ggufTokenizer } from './ggufTokenizer.ts';

export interface GgufModelPlan {
  readonly tensors: readonly GgufTensor[];
  /** Bytes of all tensors. */
  readonly bytes: number;
  readonly write: (file: string, options?: WriteGgufOptions) => Promise<void>;
}

/**
 * Everything about the file but its bytes, so that what cannot be written is refused before anything is.
 *
 * @param dtype of the matrices; norms, biases and rotary factors are F32 always, as llama.cpp wants them
 * @throws EXPORT_UNSUPPORTED, TOKENIZER_INVALID; from `write` EXPORT_RANGE, DISK_FULL, STORAGE_FAILED
 */
export async function planGgufModel(
  checkpoint: Checkpoint,
  tokenizer: Tokenizer,
  dtype: TensorDtype,
): Promise<GgufModelPlan> {
  const { config, folder, name } = checkpoint;
  const architecture = ggufArchitecture(config, name);
  refuseUncomputable(config, architecture, name);
  const template = await chatTemplateSource(folder);
  const metadata: Record<string, GgufValue> = {
    'general.architecture': { kind: 'string', value: architecture.name },
    'general.type': { kind: 'string', value: 'model' },
    'general.name': { kind: 'string', value: name },
    'general.file_type': { kind: 'uint32', value: FILE_TYPES[dtype] },
    'prefmesh.base_sha256': { kind: 'string', value: checkpoint.hash },
    ...dimensions(config, architecture.name),
    ...(await ggufTokenizer(folder, tokenizer, config)),
    ...(template === null ? {} : { 'tokenizer.chat_template': { kind: 'string', value: template } }),
  };
  const tensors = [...rotaryFactors(config), ...weightsOf(checkpoint, architecture, dtype)];
  return {
    tensors,
    bytes: tensors.reduce((sum, tensor) => sum + ggufTensorSize(tensor), 0),
    write: (file, options) => writeGguf(file, metadata, tensors, options),
  };
}

function dimensions(config: ModelConfig, architecture: string): Record<string, GgufValue> {
  const whole = {
    vocab_size: config.vocabSize,
    context_length: config.maxPositions,
    embedding_length: config.hiddenSize,
    block_count: config.layers,
    feed_forward_length: config.intermediateSize,
    'rope.dimension_count': config.headDim,
    'attention.head_count': config.heads,
    'attention.head_count_kv': config.kvHeads,
    'attention.key_length': config.headDim,
    'attention.value_length': config.headDim,
  };
  const keys: Record<string, GgufValue> = {
    'attention.layer_norm_rms_epsilon': { kind: 'float32', value: config.rmsNormEps },
    'rope.freq_base': { kind: 'float32', value: config.ropeTheta },
  };
  for (const [key, value] of Object.entries(whole)) keys[key] = { kind: 'uint32', value };
  if (config.ropeScaling?.type === 'linear') {
    keys['rope.scaling.type'] = { kind: 'string', value: 'linear' };
    keys['rope.scaling.factor'] = { kind: 'float32', value: config.ropeScaling.factor };
  }
  return Object.fromEntries(Object.entries(keys).map(([key, value]) => [`${architecture}.${key}`, value]));
}

/** Scaling of the llama3 kind travels as one divisor for each frequency. */
function rotaryFactors({ headDim, ropeTheta, ropeScaling }: ModelConfig): GgufTensor[] {
  if (ropeScaling?.type !== 'llama3') return [];
  const scaled = scaledFrequencies(headDim, ropeTheta, ropeScaling);
  const plain = scaledFrequencies(headDim, ropeTheta, null);
  const read = () => Float32Array.from(plain, (frequency, i) => frequency / scaled[i]!);
  return [{ name: 'rope_freqs.weight', shape: [headDim / 2], dtype: 'F32', read }];
}

function weightsOf(checkpoint: Checkpoint, { interleaved }: GgufArchitecture, dtype: TensorDtype): GgufTensor[] {
  const { config } = checkpoint;
  return [...expectedTensors(config)].map(([name, shape]) => {
    const heads = interleaved ? rotatedHeads(config, name) : undefined;
    return {
      name: ggufTensorName(name),
      shape,
      dtype: shape.length === 1 ? 'F32' : dtype,
      read: () => {
        const values = readWeight(checkpoint, name);
        return heads === undefined ? values : interleaveHeads(values, heads, shape[0]!);
      },
    };
  });
}

/** What a configuration asks for and llama.cpp's architecture of that name has no code for. */
function refuseUncomputable(config: ModelConfig, { name }: GgufArchitecture, source: string): void {
  const { ropeScaling, noRopeLayers, slidingWindow, queryKeyNorm, biases, layers, maxPositions } = config;
  const refuse = (feature: string) => {
    throw new PrefmeshError('EXPORT_UNSUPPORTED', {
      source,
      format: 'GGUF',
      problem: `llama.cpp's architecture ${name} has no ${feature}`,
      hint: 'use the adapter as peft, with a program that runs this model',
    });
  };
  if (ropeScaling?.type === 'llama3' && name !== 'llama') refuse('rotary scaling of type llama3');
  const unrotated = Array.from({ length: layers }, (_, layer) => layer).filter((layer) => {
    return name === 'smollm3' && layer % 4 === 3;
  });
  if (unrotated.join() !== noRopeLayers.join())
    refuse(`choice of unrotated layers other than ${unrotated.join() || 'none'}`);
  if (slidingWindow !== null && slidingWindow.tokens < maxPositions) refuse('sliding-window attention');
  if (queryKeyNorm !== (name === 'qwen3'))
    refuse(queryKeyNorm ? 'norms of q and k' : 'way to leave out the norms of q and k');
  const known = name === 'llama' ? biases : ['q_proj', 'k_proj', 'v_proj'];
  const unknown = biases.find((target) => !known.includes(target));
  if (unknown !== undefined) refuse(`bias of ${unknown}`);
  // It takes the width of q from the hidden size there, not from the heads.
  if (name === 'qwen2' && config.heads * config.headDim !== config.hiddenSize) refuse('width of heads of their own');
}
