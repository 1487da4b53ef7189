/**
 * What the layers of a model see of a sequence: everything earlier or, in those with a sliding window (Beltagy et al.
 * 2020, "Longformer", section 3.1), the last so many tokens, the query's own included.
 */
import { causalMask } from '../engine/composites/attention.ts';
import type { Constant } from '../engine/graph.ts';
import type { ModelConfig } from './config.ts';

/** Most tokens that a layer's queries see, themselves included; null without bound. */
export function windowOf({ slidingWindow }: ModelConfig, layer: number): number | null {
  return slidingWindow?.layers.includes(layer) ? slidingWindow.tokens : null;
}

/** Whether some layer of the model sees less than all of a sequence of so many tokens. */
export function exceedsWindow({ slidingWindow }: ModelConfig, tokens: number): boolean {
  return slidingWindow !== null && tokens > slidingWindow.tokens;
}

/** Each layer's mask `[time, time]` over rows without gaps. */
export function layerMasks(config: ModelConfig, time: number): (layer: number) => Constant {
  const whole = causalMask(time);
  if (!exceedsWindow(config, time)) return () => whole;
  const windowed = causalMask(time, config.slidingWindow!.tokens);
  return (layer) => (windowOf(config, layer) === null ? whole : windowed);
}
