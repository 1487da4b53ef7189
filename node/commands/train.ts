/**
 * `prefmesh train`: LoRA-DPO on this machine, one JSON line an optimiser step.
 */
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { Command } from 'commander';
import { PrefmeshError } from '../../protocol/errors.ts';
import type { Checkpoint } from '../model/checkpoint.ts';
import { fileSize } from '../model/jsonFile.ts';
import { licenceOf } from '../model/licence.ts';
import { makeFolder, naming, removeLeftovers } from '../storage/atomicFile.ts';
import { hashFile } from '../storage/reading.ts';
import { baseQuantizationOf } from '../training/adapter.ts';
import { openCsvLog } from '../training/csvLog.ts';
import type { LogProbs } from '../training/metrics.ts';
import { ADAPTER_WEIGHTS, writePeftAdapter } from '../training/peft.ts';
import { Policy } from '../training/policy.ts';
import { lossText } from '../training/preferenceLoss.ts';
import { referenceLogProbs } from '../training/referenceCache.ts';
import { runCard } from '../training/runCard.ts';
import { courseDifferences } from '../training/runCourse.ts';
import { readRunRecord, RUN_RECORD, writeRunRecord } from '../training/runRecord.ts';
import { openEventLog } from '../training/tensorboard/eventLog.ts';
import { openTrainingLog, readTrainingLog, TRAINING_LOG, type MetricSink } from '../training/trainingLog.ts';
import { forgetTraining, loadTraining, newestState, type SavedTraining } from '../training/trainingState.ts';
import { addExample } from './options.ts';
import { Output } from './output.ts';
import { commandSignal } from './signal.ts';
import { addTrainOptions, type TrainCommandOptions } from './trainOptions.ts';
import { adapterHash, prepareRun, recordOf, type LearnablePairs, type TrainingRun } from './trainRun.ts';
import { runSession, type FinishedRun } from './trainingSession.ts';

export function trainCommand(): Command {
  const command = new Command('train')
    .description('Train a LoRA adapter on preference pairs with DPO or a loss of its family.')
    .action((options: TrainCommandOptions) => train(options));
  addTrainOptions(command);
  return addExample(
    command,
    'prefmesh train --model embedded --pairs pairs.jsonl --out adapter',
    'prefmesh train --model embedded --pairs pairs.jsonl --out adapter --eval-pairs held-out.jsonl --early-stop 2',
    'prefmesh train --model embedded --pairs pairs.jsonl --out adapter --resume',
    'prefmesh train --model embedded --pairs pairs.jsonl --out again --config adapter/training_config.json',
  );
}

async function train(options: TrainCommandOptions): Promise<void> {
  const output = new Output(options);
  const run = await prepareRun(options, output);
  if (options.config !== undefined) await compareWithRecord(options.config, run, output);
  const saved = await whereItStands(run, options.resume, output);
  if (saved === 'finished') return;

  await naming(run.out, () => makeFolder(run.out));
  await removeLeftovers(run.out);
  await writeRunRecord(run.out, recordOf(run));
  const { checkpoint, settings, terms, running, training, start, plan } = run;
  output.human(
    `training rank ${start.rank} on ${start.targets.join(', ')} of ${checkpoint.name}${heldIn(checkpoint)}, on ${settings.device}: ` +
      `${training.pairs.length} pairs, ${plan.totalSteps} steps, rate ${terms.learningRate} ${terms.schedule}, loss ${lossText(terms)}`,
  );

  const scale = start.alpha / start.rank;
  await using policy = await Policy.open({ ...settings, ...running, checkpoint, layout: start, scale });
  const finished = await trainAndWatch(run, policy, output, saved);
  await keepResult(run, finished);
  output.human(`adapter of step ${finished.step} written to ${run.out}`);
  const { real, run: ran } = policy.trainedTokens;
  if (ran > 0) output.human(`padding took ${(100 * (1 - real / ran)).toFixed(1)} % of the tokens that ran`);
}

/** The state to go on from, null at the beginning, or `finished` where there is nothing left to do. */
async function whereItStands(
  run: TrainingRun,
  resume: boolean,
  output: Output,
): Promise<SavedTraining | 'finished' | null> {
  const { out, course, start } = run;
  if (!resume) {
    const given = await newestState(out);
    if (given !== null)
      output.human(`note: the run in ${out}, saved after step ${given}, is given up; --resume would have gone on`);
    return null;
  }
  const saved = await loadTraining(out, course, start.vector.length);
  if (saved === null) return finishedOrNew(run, output);
  for (const { file, problem } of saved.damaged) {
    output.human(`note: ${file} is damaged (${problem}); going on from step ${saved.state.step} instead`);
  }
  return saved;
}

async function finishedOrNew({ out, course }: TrainingRun, output: Output): Promise<'finished' | null> {
  const file = join(out, RUN_RECORD);
  const record = await readRunRecord(file);
  if (record === null || record.result === null) {
    output.human(`note: nothing to resume in ${out}; starting anew`);
    return null;
  }
  const differences = courseDifferences(record, course);
  if (differences.length > 0) throw new PrefmeshError('RESUME_MISMATCH', { file, differences: differences.join('; ') });
  if ((await weightsHash(out)) !== record.result.sha256) {
    output.human(`note: the adapter in ${out} is not the one that its finished run wrote; starting anew`);
    return null;
  }
  output.human(`this run is finished: ${out} holds the adapter of step ${record.result.step}; nothing to resume`);
  return 'finished';
}

/** Says how a run differs from the record of another, when its settings came from one. */
async function compareWithRecord(file: string, { course }: TrainingRun, output: Output): Promise<void> {
  const record = await readRunRecord(file);
  if (record === null) return;
  const differences = courseDifferences(record, course);
  if (differences.length > 0) output.human(`note: not the run of ${file}: ${differences.join('; ')}`);
}

async function trainAndWatch(
  run: TrainingRun,
  policy: Policy,
  output: Output,
  saved: SavedTraining | null,
): Promise<FinishedRun> {
  const { terms, training, watched, plan } = run;
  const references = saved?.references ?? {
    training: await referenceOf(run, policy, training, plan.firstEpoch(), output),
    watched: watched && (await referenceOf(run, policy, watched, [[...watched.pairs.keys()]], output)),
  };
  const watch = watched && { pairs: watched.pairs, reference: references.watched!, terms };
  await using sinks = await openLogs(run, saved?.state.step ?? null);
  const finished = await runSession(run, policy, {
    references,
    watch,
    saved,
    sinks: sinks.all,
    output,
    signal: commandSignal(),
  });
  for (const sink of sinks.all) await sink.sync();
  return finished;
}

/** Everything that the metrics of a run are written to, from where the run stands. */
async function openLogs(
  { out, logs }: TrainingRun,
  step: number | null,
): Promise<{ all: readonly MetricSink[] } & AsyncDisposable> {
  await using opened = new AsyncDisposableStack();
  const all = [opened.use(await openTrainingLog(join(out, TRAINING_LOG), step))];
  if (logs.csv !== null) all.push(opened.use(await openCsvLog(logs.csv, step)));
  if (logs.tensorboard !== null) all.push(opened.use(await openEventLog(logs.tensorboard, step)));
  const open = opened.move();
  return { all, [Symbol.asyncDispose]: () => open.disposeAsync() };
}

/** Writes the adapter, then the record that it is finished, and only then lets go of the saved states. */
async function keepResult(run: TrainingRun, { vector, step, steps }: FinishedRun): Promise<void> {
  const { out, checkpoint, terms, start } = run;
  const baseQuantization = baseQuantizationOf(checkpoint);
  const trained = { ...start, vector, baseHash: checkpoint.hash, baseQuantization };
  const record = (sha256: string) => ({ ...recordOf(run), result: { step, steps, sha256 } });
  const readme = runCard({
    record: record(''),
    lines: await readTrainingLog(join(out, TRAINING_LOG)),
    licence: await licenceOf(checkpoint.folder),
    baseQuantization,
    loss: lossText(terms),
    parameters: vector.length,
  });
  await writePeftAdapter(out, trained, { baseModel: checkpoint.name, readme });
  await writeRunRecord(out, record((await weightsHash(out))!));
  await forgetTraining(out);
}

function heldIn({ quantized }: Checkpoint): string {
  return quantized === undefined ? '' : ` in ${quantized.scheme}`;
}

/** SHA-256 of the adapter's weights in a folder; null where there are none. */
async function weightsHash(folder: string): Promise<string | null> {
  const file = join(folder, ADAPTER_WEIGHTS);
  if ((await fileSize(file)) === undefined) return null;
  return naming(file, async () => {
    await using handle = await open(file, 'r');
    return await hashFile(handle, () => {});
  });
}

/** Log-probabilities of pairs under the reference, by the graph that trains where that is the bare base. */
async function referenceOf(
  { checkpoint, settings, running, anchor }: TrainingRun,
  policy: Policy,
  { pairs, hash }: LearnablePairs,
  batches: readonly (readonly number[])[],
  output: Output,
): Promise<LogProbs> {
  const scale = anchor && anchor.alpha / anchor.rank;
  await using anchored =
    anchor && (await Policy.open({ ...settings, ...running, checkpoint, layout: anchor, scale: scale! }));
  const progress = output.progress({ label: `reference on ${settings.device}`, total: pairs.length, unit: 'pairs' });
  const identity = {
    base: checkpoint.hash,
    quantization: checkpoint.quantized?.hash ?? null,
    device: settings.device,
    company: JSON.stringify([hash, batches, running, settings.threads]),
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
