/**
 * `prefmesh score`: summed log-probabilities of chosen and rejected answers, one JSON line a pair, in input order.
 */
import { Command } from 'commander';
import type { Precision } from '../engine/executor.ts';
import { scorePairs } from '../evaluation/scoring.ts';
import { Policy } from '../training/policy.ts';
import { addBasePrecision, atPrecision, type BasePrecisionOptions } from './basePrecision.ts';
import { engineSettings, openAdapter, openModel, openPairs } from './modelInput.ts';
import { addCommonOptions, addExample, precisionOption, type CommonOptions } from './options.ts';
import { Output } from './output.ts';
import { commandSignal } from './signal.ts';
import { integerValue } from './values.ts';

interface ScoreOptions extends CommonOptions, BasePrecisionOptions {
  readonly model: string;
  readonly adapter?: string;
  readonly pairs: string;
  readonly maxLength: number;
  readonly precision: Precision;
}

/** The bare base runs through an adapter's graph too, and this is the smallest. */
const NO_ADAPTER = { rank: 1, alpha: 1, targets: ['q_proj'], vector: null } as const;

export function scoreCommand(): Command {
  const command = new Command('score')
    .description('Sum the log-probabilities, in nats, of the answers of preference pairs.')
    .requiredOption('--model <model>', 'a folder, embedded, or the id of a pulled model')
    .option('--adapter <folder>', 'the adapter to score with; without it the bare model')
    .requiredOption('--pairs <file>', 'JSONL of pairs')
    .option('--max-length <n>', 'most tokens of prompt and answer', integerValue({ min: 2 }), 1024)
    .action((options: ScoreOptions) => score(options));
  command.addOption(precisionOption());
  addBasePrecision(command);
  addCommonOptions(command);
  return addExample(command, 'prefmesh score --model embedded --adapter adapter --pairs pairs.jsonl --json');
}

/** A pair that cannot be scored has a line too, with null for every figure, `dropped` and the `reason`. */
const UNSCORED = { chosen: null, rejected: null, refChosen: null, refRejected: null, dropped: true } as const;

async function score(options: ScoreOptions): Promise<void> {
  const output = new Output(options);
  const model = await atPrecision(await openModel(options.model, options.home), options, output);
  const { checkpoint } = model;
  const adapter = options.adapter === undefined ? NO_ADAPTER : await openAdapter(options.adapter, checkpoint, output);
  const { read, pairs, dropped, cut } = await openPairs(options.pairs, model, options.maxLength, output);

  const settings = await engineSettings(options, output);
  const { rank, alpha, targets, vector } = adapter;
  const { precision } = options;
  const layout = { rank, targets };
  await using policy = await Policy.open({ ...settings, precision, checkpoint, layout, scale: alpha / rank });
  const progress = output.progress({ label: `scoring on ${settings.device}`, total: pairs.length, unit: 'pairs' });
  const { candidate, reference } = await scorePairs(policy, pairs, vector, {
    signal: commandSignal(),
    onScored: (done) => progress.update(done),
  });
  progress.end();

  const indexOf = new Map(pairs.map(({ id }, index) => [id, index]));
  const wasCut = new Set(cut);
  const reasonOf = new Map(dropped.map(({ id, reason }) => [id, reason]));
  const rows = [['pair', 'chosen', 'rejected', 'reference chosen', 'reference rejected']];
  for (const { id } of read) {
    const i = indexOf.get(id);
    if (i === undefined) {
      output.json({ id, ...UNSCORED, reason: reasonOf.get(id) });
      rows.push([id, '-', '-', '-', '-']);
      continue;
    }
    const figures = {
      chosen: candidate.chosen[i]!,
      rejected: candidate.rejected[i]!,
      refChosen: reference.chosen[i]!,
      refRejected: reference.rejected[i]!,
    };
    output.json({ id, ...figures, ...(wasCut.has(id) ? { cut: true } : {}) });
    rows.push([id, ...Object.values(figures).map((figure) => figure.toFixed(3))]);
  }
  if (!options.json) output.table(rows);
}
