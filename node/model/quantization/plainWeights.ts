/**
 * A weight of a checkpoint as the numbers it stands for, read from 4 bits where it is held in 4 bits.
 */
import { NF4_LEVELS } from '../../engine/byteTable.ts';
import type { Checkpoint } from '../checkpoint.ts';
import { readTensor, readTensorBytes } from '../safetensors.ts';
import { dequantizeDynamic } from './dynamicMap.ts';
import { dequantizeInt4 } from './int4.ts';
import { NF4_BLOCK } from './nf4.ts';
import type { QuantizedTensor } from './quantizedTensors.ts';

/**
 * Row-major float32 values of a weight by its Hugging Face name, which the checkpoint holds.
 *
 * @throws WEIGHTS_INVALID
 */
export function readWeight({ tensors, quantized }: Checkpoint, name: string): Float32Array {
  const packed = quantized?.tensors.get(name);
  return packed === undefined ? readTensor(tensors.get(name)!) : dequantized(packed);
}

function dequantized(tensor: QuantizedTensor): Float32Array {
  if (tensor.scheme === 'int4') {
    return dequantizeInt4({ codes: readTensorBytes(tensor.codes), scales: readTensor(tensor.scales) });
  }
  const { shape, codes: location, absmax, nestedAbsmax, nestedMap, offset } = tensor;
  // The file brings the map of its magnitudes along; the fixed one is only what this program writes.
  const nested = { codes: readTensorBytes(absmax), scales: readTensor(nestedAbsmax) };
  const magnitudes = dequantizeDynamic(nested, readTensor(nestedMap)).map((magnitude) => magnitude + offset);
  const codes = readTensorBytes(location);
  return Float32Array.from({ length: shape[0] * shape[1] }, (_, i) => {
    const byte = codes[i >> 1]!;
    return NF4_LEVELS[i % 2 === 0 ? byte >> 4 : byte & 15]! * magnitudes[Math.floor(i / NF4_BLOCK)]!;
  });
}
