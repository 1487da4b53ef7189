/**
 * The learning rate over a run: a linear warm-up, then constant, or down to zero along a line or half a cosine.
 */
export const SCHEDULES = ['cosine', 'linear', 'constant'] as const;
export type ScheduleName = (typeof SCHEDULES)[number];

export interface ScheduleOptions {
  readonly schedule: ScheduleName;
  /** The highest rate. */
  readonly learningRate: number;
  /** Share of all steps spent warming up, in [0, 1). */
  readonly warmup: number;
  readonly totalSteps: number;
}

/**
 * The rate of a step, counted from 0.
 *
 * Warm-up lasts w = ⌈share · total⌉ steps and uses rate · (step + 1) / (w + 1), so no step is spent at rate zero.
 * After it, with p = (step − w) / (total − w): linear is rate · (1 − p), cosine is rate · (1 + cos πp) / 2.
 */
export function learningRateAt(step: number, { schedule, learningRate, warmup, totalSteps }: ScheduleOptions): number {
  const warmupSteps = Math.ceil(warmup * totalSteps - 1e-9); // 0.1 of 30 is 3, whatever binary fractions make of it
  if (step < warmupSteps) return (learningRate * (step + 1)) / (warmupSteps + 1);
  const progress = (step - warmupSteps) / (totalSteps - warmupSteps);
  switch (schedule) {
    case 'constant':
      return learningRate;
    case 'linear':
      return learningRate * (1 - progress);
    case 'cosine':
      return (learningRate * (1 + Math.cos(Math.PI * progress))) / 2;
  }
}
