/**
 * `prefmesh train`: LoRA-DPO on this machine, one JSON line an optimiser step.
 */
import { Command } from 'commander';
import { better, evaluateLoss } from '../training/evaluationLoss.ts';
import type { LogProbs, StepMetrics } from '../training/metrics.ts';
import { writePeftAdapter } from '../training/peft.ts';
import { Policy, type TokenizedPair } from '../training/policy.ts';
import { referenceLogProbs } from '../training/referenceCache.ts';
import { trainAdapter, type TrainingState } from '../training/trainer.ts';
import {
  forgetTraining,
  loadTraining,
  saveTraining,
  type BestAdapter,
  type SavedTraining,
} from '../training/trainingState.ts';
import { addExample } from './options.ts';
import { Output } from './output.ts';
import { commandSignal, noteKept } from './signal.ts';
import { addTrainOptions, type TrainCommandOptions } from './trainOptions.ts';
import { adapterHash, prepareRun, runHash, saveRecord, type TrainingRun } from './trainRun.ts';

export function trainCommand(): Command {
  const command = new Command('train')
    .description('Train a LoRA adapter on preference pairs with the DPO loss.')
    .action((options: TrainCommandOptions) => train(options));
  addTrainOptions(command);
  return addExample(
    command,
    'prefmesh train --model embedded --pairs pairs.jsonl --out adapter',
    'prefmesh train --model embedded --pairs pairs.jsonl --out adapter --eval-pairs held-out.jsonl --early-stop 2',
  );
}

async function train(options: TrainCommandOptions): Promise<void> {
  const output = new Output(options);
  const run = await prepareRun(options, output);
  const { checkpoint, settings, terms, running, training, start, plan } = run;
  const saved = options.resume ? await loadTraining(run.out, runHash(run), start.vector.length) : null;
  if (options.resume && saved === null) output.human(`note: nothing to resume in ${run.out}; starting anew`);
  await saveRecord(run);
  output.human(
    `training rank ${start.rank} on ${start.targets.join(', ')} of ${checkpoint.name}, on ${settings.device}: ` +
      `${training.pairs.length} pairs, ${plan.totalSteps} steps, rate ${terms.learningRate} ${terms.schedule}, beta ${terms.beta}`,
  );

  const scale = start.alpha / start.rank;
  await using policy = await Policy.open({ ...settings, ...running, checkpoint, layout: start, scale });
  const { vector, step } = await trainAndWatch(run, policy, output, saved);
  const card = {
    'Preference pairs': training.pairs.length,
    'Optimiser steps': step,
    Loss: `DPO, ${terms.loss}, beta ${terms.beta}`,
    'Learning rate': `${terms.learningRate}, ${terms.schedule}`,
    'Trained factor': terms.factor,
    Seed: terms.seed,
  };
  const trained = { ...start, vector, baseHash: checkpoint.hash };
  await writePeftAdapter(run.out, trained, { baseModel: checkpoint.name, card });
  await forgetTraining(run.out);
  output.human(`adapter of step ${step} written to ${run.out}`);
}

/**
 * Trains, evaluates and saves on the way. Answers the last adapter, or with early stopping the best one, and the step
 * it comes from. Interrupted, it saves the last finished step.
 */
async function trainAndWatch(
  run: TrainingRun,
  policy: Policy,
  output: Output,
  saved: SavedTraining | null,
): Promise<{ vector: Float32Array; step: number }> {
  const { out, settings, terms, training, watched, start, evaluateEvery, checkpointEvery, earlyStop } = run;
  const { totalSteps } = run.plan;
  const signal = commandSignal();
  const reference = await referenceOf(run, policy, training.pairs, run.plan.firstEpoch(), output);
  const watch = watched && {
    pairs: watched.pairs,
    reference: await referenceOf(run, policy, watched.pairs, [[...watched.pairs.keys()]], output),
    beta: terms.beta,
  };
  const hash = runHash(run);
  let best: BestAdapter | null = saved?.best ?? null;
  let latest: TrainingState | null = saved?.state ?? null;

  const keep = async (state: TrainingState) => {
    await saveTraining(out, hash, { state, best });
    noteKept(`the run after step ${state.step}, in ${out}; --resume goes on from there`);
  };
  const evaluate = async (adapter: Float32Array, step: number) => {
    if (watch === null) return;
    const metrics = await evaluateLoss(policy, watch, adapter, step, { signal });
    if (earlyStop !== null) best = better(best, metrics, adapter);
    const accuracy = metrics['eval_rewards/accuracies'].toFixed(3);
    output.json(metrics);
    output.human(`after step ${step}: evaluation loss ${metrics.eval_loss.toFixed(4)}, accuracy ${accuracy}`);
  };
  const onStep = async (metrics: StepMetrics, state: TrainingState) => {
    latest = state;
    output.json(metrics);
    progress.update(metrics.step, `loss ${metrics.loss.toFixed(4)}  margin ${metrics['rewards/margins'].toFixed(3)}`);
    if (watch !== null && (state.step % evaluateEvery === 0 || state.step === totalSteps)) {
      progress.end();
      await evaluate(state.adapter, state.step);
    }
    if (checkpointEvery !== null && state.step % checkpointEvery === 0) await keep(state);
    if (earlyStop !== null && best!.waited >= earlyStop) return 'stop';
  };

  if (saved === null) await evaluate(start.vector, 0);
  noteKept(saved === null ? 'nothing, no step was finished' : `the run after step ${saved.state.step}, in ${out}`);
  const progress = output.progress({ label: `training on ${settings.device}`, total: totalSteps, unit: 'steps' });
  try {
    const { adapter } = await trainAdapter(policy, training.pairs, {
      adapter: start.vector,
      table: start.table,
      reference,
      terms,
      resume: saved?.state,
      signal,
      onStep,
    });
    const chosen = best as BestAdapter | null;
    return chosen === null
      ? { vector: adapter, step: latest?.step ?? 0 }
      : { vector: chosen.adapter, step: chosen.step };
  } catch (error) {
    if (signal.aborted && latest !== null) await keep(latest);
    throw error;
  } finally {
    progress.end();
  }
}

/** Log-probabilities of pairs under the reference, by the graph that trains where that is the bare base. */
async function referenceOf(
  { checkpoint, settings, running, anchor }: TrainingRun,
  policy: Policy,
  pairs: readonly TokenizedPair[],
  batches: readonly (readonly number[])[],
  output: Output,
): Promise<LogProbs> {
  const scale = anchor && anchor.alpha / anchor.rank;
  await using anchored =
    anchor && (await Policy.open({ ...settings, ...running, checkpoint, layout: anchor, scale: scale! }));
  const progress = output.progress({ label: `reference on ${settings.device}`, total: pairs.length, unit: 'pairs' });
  const identity = {
    base: checkpoint.hash,
    device: settings.device,
    adapter: anchor && `${scale} ${anchor.targets.join()} ${adapterHash(anchor)}`,
  };
  const reference = await referenceLogProbs(anchored ?? policy, pairs, identity, {
    cacheFolder: settings.cacheFolder,
    adapter: anchor?.vector ?? null,
    batches,
    signal: commandSignal(),
    onProgress: (done) => progress.update(done),
  });
  progress.end();
  return reference;
}
