/**
 * How a model stretches its rotary embedding beyond the length it was first trained on.
 *
 * `linear` (Chen et al. 2023, "Extending context window of large language models via positional interpolation") divides
 * every frequency. `llama3` divides the slow ones, keeps the fast ones and blends between; it holds at every length, not
 * only beyond the original one. Both are fields of `rope_scaling` (transformers 4) or `rope_parameters` (5).
 */
import { z } from 'zod';
import { rotaryFrequencies } from '../engine/composites/rotary.ts';

export type RotaryScaling =
  | { readonly type: 'linear'; readonly factor: number }
  | {
      readonly type: 'llama3';
      readonly factor: number;
      /** Waves longer than `originalPositions / lowFrequency` tokens are divided, */
      readonly lowFrequency: number;
      /** those shorter than `originalPositions / highFrequency` are kept. */
      readonly highFrequency: number;
      readonly originalPositions: number;
    };

const positive = z.number().positive();

/** The fields of a scaling, by its type. `default` is none. */
export const rotaryScalingFields = {
  default: z.looseObject({}).transform(() => null),
  linear: z.looseObject({ factor: positive }).transform(({ factor }): RotaryScaling => ({ type: 'linear', factor })),
  llama3: z
    .looseObject({
      factor: positive,
      low_freq_factor: positive,
      high_freq_factor: positive,
      original_max_position_embeddings: z.int().positive(),
    })
    .refine((fields) => fields.high_freq_factor > fields.low_freq_factor, {
      path: ['high_freq_factor'],
      error: 'is not above low_freq_factor',
    })
    .transform((fields): RotaryScaling => {
      return {
        type: 'llama3',
        factor: fields.factor,
        lowFrequency: fields.low_freq_factor,
        highFrequency: fields.high_freq_factor,
        originalPositions: fields.original_max_position_embeddings,
      };
    }),
} as const;

export const ROTARY_SCALINGS: readonly string[] = Object.keys(rotaryScalingFields);

/** Radians per position of each pair of a head's coordinates, `headDim / 2` of them. */
export function scaledFrequencies(headDim: number, theta: number, scaling: RotaryScaling | null): Float64Array {
  const plain = rotaryFrequencies(headDim, theta);
  switch (scaling?.type) {
    case undefined:
      return plain;
    case 'linear':
      return plain.map((frequency) => frequency / scaling.factor);
    case 'llama3': {
      const { factor, lowFrequency, highFrequency, originalPositions } = scaling;
      return plain.map((frequency) => {
        const waves = (originalPositions * frequency) / (2 * Math.PI);
        const kept = Math.min(1, Math.max(0, (waves - lowFrequency) / (highFrequency - lowFrequency)));
        return ((1 - kept) * frequency) / factor + kept * frequency;
      });
    }
  }
}
