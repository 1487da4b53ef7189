/** What sets a model apart from a plain Llama, in words for people. */
import type { ModelConfig } from './config.ts';

export function traitsOf(config: ModelConfig): string[] {
  const { tiedHead, biases, queryKeyNorm, ropeScaling, noRopeLayers, slidingWindow, layers } = config;
  const traits: string[] = [];
  if (tiedHead) traits.push('tied head');
  if (biases.length > 0) traits.push(`biases on ${biases.join(', ')}`);
  if (queryKeyNorm) traits.push('norms of queries and keys');
  if (ropeScaling !== null) traits.push(`${ropeScaling.type} rotary scaling by ${ropeScaling.factor}`);
  if (noRopeLayers.length > 0) traits.push(`${noRopeLayers.length} of ${layers} layers without rotary embedding`);
  if (slidingWindow !== null) {
    traits.push(`a window of ${slidingWindow.tokens} tokens in ${slidingWindow.layers.length} of ${layers} layers`);
  }
  return traits;
}
