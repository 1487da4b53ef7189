/**
 * One stage of the embedded model's training: pack, loss, gradients, clip, AdamW step, log; every so often the whole
 * state goes to a file, and a run that finds this file goes on from it as if it had not been interrupted.
 */
import { existsSync } from 'node:fs';
import { readSafetensorsIndex, readTensor, writeSafetensors } from '../../node/model/safetensors.ts';
import type { LanguageModelTrainer } from '../../node/training/languageModel.ts';
import { AdamW, clipGradient, globalNorm, type AdamWState } from '../../node/training/optimizer.ts';
import { learningRateAt } from '../../node/training/schedule.ts';
import { packBatch, type PackedBatch, type TokenDocument } from './packing.ts';
import { TRAINING, type Stage } from './recipe.ts';

export interface PretrainingOptions {
  readonly trainer: LanguageModelTrainer;
  readonly stage: Stage;
  /** The document of an index: the same for every call. */
  readonly document: (index: number) => TokenDocument;
  /** Index of the first document: stages go on where the one before ended. */
  readonly firstDocument: number;
  readonly padding: number;
  /** Where the stage's state is kept between runs. */
  readonly stateFile: string;
  readonly log: (line: string) => void;
}

export interface PretrainingResult {
  /** Mean loss of the last hundred steps, nats per learnt token, weighted as in training. */
  readonly loss: number;
  /** Tokens that were read. */
  readonly tokens: number;
  /** Index of the document after the last one that was read. */
  readonly nextDocument: number;
  /** Of this process alone. */
  readonly seconds: number;
  readonly tokensPerSecond: number;
}

const LOG_EVERY = 25;
const SAVE_EVERY = 200;
const LOSS_WINDOW = 100;

export async function pretrain(options: PretrainingOptions): Promise<PretrainingResult> {
  const { trainer, stage, padding, stateFile, log } = options;
  const { steps } = stage;
  const resumed = readState(stateFile);
  if (resumed !== undefined) trainer.parameters.set(resumed.parameters);
  const first = resumed?.optimizer.step ?? 0;
  const optimizer = new AdamW(
    trainer.parameterCount,
    { beta2: TRAINING.beta2, weightDecay: TRAINING.weightDecay },
    resumed?.optimizer,
  );
  let nextDocument = options.firstDocument;
  let tokens = 0;
  const nextBatch = (): PackedBatch => {
    const batch = packBatch(() => options.document(nextDocument++), {
      rows: TRAINING.rows,
      length: TRAINING.length,
      padding,
    });
    nextDocument--; // the one that found no room opens the next batch
    tokens += batch.tokens.length;
    return batch;
  };
  for (let step = 0; step < first; step++) nextBatch();

  const losses: number[] = [];
  const readBefore = tokens;
  const started = performance.now();
  for (let step = first; step < steps; step++) {
    const batch = nextBatch();
    const { loss, gradient } = await trainer.lossAndGradient(batch.tokens, batch.mask);
    const norm = globalNorm(gradient);
    clipGradient(gradient, norm, TRAINING.maxGradNorm);
    const learningRate = learningRateAt(step, { ...TRAINING, ...stage, totalSteps: steps });
    optimizer.update(trainer.parameters, gradient, learningRate);
    losses.push(loss);

    const done = step + 1;
    if (done % LOG_EVERY === 0 || done === steps) {
      const rate = (done - first) / ((performance.now() - started) / 1000);
      log(
        `${stage.name} ${done}/${steps} loss ${mean(losses.slice(-LOG_EVERY)).toFixed(4)} norm ${norm.toFixed(2)} ` +
          `rate ${learningRate.toExponential(2)} ${rate.toFixed(2)} steps/s, ${Math.ceil((steps - done) / rate)} s left`,
      );
    }
    if (done % SAVE_EVERY === 0 || done === steps) await writeState(stateFile, trainer.parameters, optimizer.state);
  }
  const seconds = (performance.now() - started) / 1000;
  return {
    loss: mean(losses.slice(-LOSS_WINDOW)),
    tokens,
    nextDocument,
    seconds,
    tokensPerSecond: (tokens - readBefore) / seconds,
  };
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

async function writeState(file: string, parameters: Float32Array, state: AdamWState): Promise<void> {
  const vectors = { parameters, firstMoment: state.firstMoment, secondMoment: state.secondMoment };
  await writeSafetensors(
    file,
    Object.entries(vectors).map(([name, data]) => ({ name, shape: [data.length], data })),
    { step: String(state.step) },
  );
}

function readState(file: string): { parameters: Float32Array; optimizer: AdamWState } | undefined {
  if (!existsSync(file)) return undefined;
  const { tensors, metadata } = readSafetensorsIndex(file);
  const vector = (name: string): Float32Array => {
    const location = tensors.get(name);
    if (location === undefined) throw new Error(`${file} lacks ${name}; delete it to begin anew`);
    return readTensor(location);
  };
  return {
    parameters: vector('parameters'),
    optimizer: {
      firstMoment: vector('firstMoment'),
      secondMoment: vector('secondMoment'),
      step: Number(metadata.step),
    },
  };
}
