/**
 * How a participant trains in one round: the part of a manifest that its trainer follows.
 */
import { z } from 'zod';

/** The preference losses; `node/training/preferenceLoss.ts` has the formula of each. */
export const LOSS_NAMES = ['sigmoid', 'cdpo', 'robust', 'ipo', 'hinge', 'apo_zero', 'sigmoid_norm'] as const;
export type LossName = (typeof LOSS_NAMES)[number];

/** Those that take a share of the labels to be wrong, ε. */
export const SMOOTHED_LOSSES: readonly LossName[] = ['cdpo', 'robust'];

const positive = z.number().positive();

export const trainingTermsSchema = z
  .strictObject({
    loss: z.enum(LOSS_NAMES),
    beta: positive,
    /** ε, for the losses that know it; null for the others. */
    labelSmoothing: z.number().min(0).lt(0.5).nullable(),
    /** Weight of the chosen answers' mean negative log-likelihood; null without that term. */
    sftWeight: positive.nullable(),
    learningRate: positive,
    schedule: z.enum(['constant', 'linear', 'cosine']),
    /** Share of the steps over which the learning rate rises from zero. */
    warmup: z.number().min(0).max(1),
    /** L2 norm to which a step's gradient is clipped. */
    maxGradNorm: positive,
    weightDecay: z.number().min(0),
    /** Pairs a step. */
    batchSize: z.int().min(1),
    /** Optimiser steps a round. */
    steps: z.int().min(1),
    /** Tokens of prompt and answer together. */
    maxLength: z.int().min(8),
  })
  .refine(({ loss, labelSmoothing }) => (labelSmoothing !== null) === SMOOTHED_LOSSES.includes(loss), {
    path: ['labelSmoothing'],
    error: `null unless the loss is ${SMOOTHED_LOSSES.join(' or ')}`,
  });
