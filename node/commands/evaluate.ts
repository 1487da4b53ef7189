/**
 * `prefmesh evaluate`: how well a model with an adapter prefers what people chose, and how its answers fare.
 */
import { Command } from 'commander';
import { PrefmeshError } from '../../protocol/errors.ts';
import { answerPrompts, type AnsweringModel } from '../evaluation/answers.ts';
import { distinct2 } from '../evaluation/distinct.ts';
import type { Proportion } from '../evaluation/intervals.ts';
import type { Judge } from '../evaluation/judges/judge.ts';
import { preferenceFigures, type PreferenceFigures } from '../evaluation/preferenceAccuracy.ts';
import { type ScoredPairs, scorePairs } from '../evaluation/scoring.ts';
import { winRate, type WinRate } from '../evaluation/winRate.ts';
import type { Tokenizer } from '../model/tokenizer.ts';
import type { PreferencePair } from '../preferences/pairs.ts';
import { readPrompts } from '../preferences/prompts.ts';
import type { Adapter } from '../training/adapter.ts';
import { pairCounts } from '../training/pairCounts.ts';
import { Policy, type TokenizedPair } from '../training/policy.ts';
import { chooseDevice } from './device.ts';
import { addJudgeOptions, chooseJudge, type JudgeOptions } from './judge.ts';
import { addBasePrecision, atPrecision, type BasePrecisionOptions } from './basePrecision.ts';
import { engineSettings, type ModelInput, openAdapter, openModel, openPairs, type PairsInput } from './modelInput.ts';
import { addCommonOptions, addExample, type CommonOptions } from './options.ts';
import { Output } from './output.ts';
import { commandSignal } from './signal.ts';
import { integerValue, numberValue } from './values.ts';

interface EvaluateOptions extends CommonOptions, JudgeOptions, BasePrecisionOptions {
  readonly model: string;
  readonly adapter?: string;
  readonly pairs: string;
  readonly prompts?: string;
  readonly baseline: string;
  readonly beta: number;
  readonly maxLength: number;
  readonly maxTokens: number;
  readonly maxPrompts: number;
  readonly groupBy?: string;
}

/** Verdicts asked of an endpoint at once. */
const JUDGED_AT_ONCE = 4;
/** What a policy needs to be told when no adapter says it. */
const NO_ADAPTER = { rank: 1, alpha: 1, targets: ['q_proj'] } as const;

export function evaluateCommand(): Command {
  const command = new Command('evaluate')
    .description('Measure preference accuracy, perplexity, repetition and, with a judge, the win rate of answers.')
    .requiredOption('--model <model>', 'a folder, embedded, or the id of a pulled model')
    .option('--adapter <folder>', 'the adapter to measure; without it the bare model, whose margins are all ties')
    .requiredOption('--pairs <file>', 'JSONL of held-out pairs')
    .option('--prompts <file>', 'JSONL of prompts to answer (default: the prompts of the pairs)')
    .option('--baseline <base|folder>', 'whose answers the judge compares with: base, or another adapter', 'base')
    .option('--beta <number>', 'scale of the margins', numberValue({ min: 0, aboveMin: true }), 0.1)
    .option('--max-length <n>', 'most tokens of prompt and answer', integerValue({ min: 2 }), 1024)
    .option('--max-tokens <n>', 'most tokens of a generated answer', integerValue({ min: 1 }), 128)
    .option('--max-prompts <n>', 'most prompts to answer, the first ones', integerValue({ min: 1 }), 64)
    .option('--group-by <key>', 'show the accuracy apart for each value of this metadata key')
    .action((options: EvaluateOptions) => evaluate(options));
  addJudgeOptions(command);
  addBasePrecision(command);
  addCommonOptions(command);
  return addExample(
    command,
    'prefmesh evaluate --model embedded --adapter adapter --pairs held-out.jsonl --judge style --group-by taste',
  );
}

async function evaluate(options: EvaluateOptions): Promise<void> {
  const output = new Output(options);
  const judge = chooseJudge(options);
  const model = await atPrecision(await openModel(options.model, options.home), options, output);
  const open = (folder: string) => openAdapter(folder, model.checkpoint, output);
  const adapter = options.adapter === undefined ? null : await open(options.adapter);
  const baseline = options.baseline === 'base' ? null : await open(options.baseline);
  const tokenized = await openPairs(options.pairs, model, options.maxLength, output);
  if (tokenized.pairs.length === 0) {
    throw new PrefmeshError('PAIRS_NONE', { file: options.pairs, problem: 'no pair of it can be scored' });
  }
  const prompts =
    options.prompts === undefined
      ? promptsOf(tokenized, model.tokenizer)
      : await readPrompts(options.prompts, { template: model.template });
  const asked = prompts.slice(0, options.maxPrompts);

  const run: Run = { options, output, ...model };
  const { candidate, reference } = await score(run, tokenized.pairs, adapter);
  const figures = preferenceFigures(candidate, reference, options.beta, {
    ids: tokenized.pairs.map(({ id }) => id),
    ...(options.groupBy === undefined ? {} : { groups: groupsOf(tokenized.read, tokenized.pairs, options.groupBy) }),
  });
  const answers = await answer(run, asked, adapter, 'answering');
  const rate = judge === null ? null : await judgeAnswers(run, judge, asked, answers, baseline);

  const distinct = distinct2(answers);
  output.json({
    ...asJson(figures),
    win_rate: rate,
    distinct_2: distinct,
    device: await chooseDevice(options, output),
    pairs: countsOf(tokenized),
    prompts: asked.length,
    judge: judge === null ? null : { name: judge.name, description: judge.description },
  });
  show(output, figures, rate, distinct, judge);
}

interface Run extends ModelInput {
  readonly options: EvaluateOptions;
  readonly output: Output;
}

async function score(run: Run, pairs: readonly TokenizedPair[], adapter: Adapter | null): Promise<ScoredPairs> {
  const settings = { ...(await engineSettings(run.options, run.output)), checkpoint: run.checkpoint };
  const { rank, alpha, targets } = adapter ?? NO_ADAPTER;
  await using policy = await Policy.open({ ...settings, layout: { rank, targets }, scale: alpha / rank });
  const progress = run.output.progress({ label: 'scoring', total: pairs.length, unit: 'pairs' });
  const scored = await scorePairs(policy, pairs, adapter?.vector ?? null, {
    signal: commandSignal(),
    onScored: (done) => progress.update(done),
  });
  progress.end();
  return scored;
}

async function answer(run: Run, prompts: readonly string[], adapter: Adapter | null, label: string): Promise<string[]> {
  const { options, output, checkpoint, tokenizer } = run;
  const progress = output.progress({ label, total: prompts.length, unit: 'prompts' });
  const model: AnsweringModel = { ...(await engineSettings(options, output)), checkpoint, tokenizer, adapter };
  const answers = await answerPrompts(model, prompts, {
    maxTokens: options.maxTokens,
    seed: options.seed,
    signal: commandSignal(),
    onAnswered: (done) => progress.update(done),
  });
  progress.end();
  return answers;
}

async function judgeAnswers(
  run: Run,
  judge: Judge,
  prompts: readonly string[],
  answers: readonly string[],
  baseline: Adapter | null,
): Promise<WinRate> {
  const theirs = await answer(run, prompts, baseline, 'answering as the baseline');
  const compared = prompts.map((prompt, index) => ({
    prompt,
    candidate: answers[index] ?? '',
    baseline: theirs[index] ?? '',
  }));
  const progress = run.output.progress({ label: 'judging', total: prompts.length, unit: 'prompts' });
  const rate = await winRate(judge, compared, {
    signal: commandSignal(),
    concurrency: JUDGED_AT_ONCE,
    onJudged: (done) => progress.update(done),
  });
  progress.end();
  return rate;
}

/** The different prompts of the pairs, in their order; a prompt without text of its own is decoded from its tokens. */
function promptsOf({ read, pairs }: PairsInput, tokenizer: Tokenizer): string[] {
  const idsOf = new Map(pairs.map(({ id, prompt }) => [id, prompt]));
  const texts = read.map(({ id, prompt }) => {
    return prompt ?? tokenizer.decode(idsOf.get(id) ?? [], { skipSpecialTokens: false });
  });
  return [...new Set(texts.filter((text) => text !== ''))];
}

function countsOf(tokenized: PairsInput) {
  const { used, dropped, droppedFor, cut, apart, atAnswerText } = pairCounts(tokenized);
  return { scored: used, dropped, dropped_for: droppedFor, cut, apart, at_answer_text: atAnswerText };
}

/** The value of a metadata key for each scored pair; `none` where a pair has no such value. */
function groupsOf(pairs: readonly PreferencePair[], scored: readonly TokenizedPair[], key: string): string[] {
  const byId = new Map(pairs.map(({ id, metadata }) => [id, metadata?.[key]]));
  return scored.map(({ id }) => {
    const value = byId.get(id) ?? 'none';
    return typeof value === 'string' ? value : JSON.stringify(value);
  });
}

function asJson(figures: PreferenceFigures) {
  return {
    preference_accuracy: figures.accuracy,
    ...(figures.byGroup === undefined ? {} : { by_group: figures.byGroup }),
    mean_margin: figures.meanMargin,
    median_margin: figures.medianMargin,
    perplexity: figures.perplexity,
    base_perplexity: figures.basePerplexity,
  };
}

function show(
  output: Output,
  figures: PreferenceFigures,
  rate: WinRate | null,
  distinct: number | null,
  judge: Judge | null,
): void {
  const share = ({ value, low, high, n, ties }: Proportion) =>
    [
      `${(value * 100).toFixed(1)} %`,
      `${(low * 100).toFixed(1)}–${(high * 100).toFixed(1)}`,
      `${n}`,
      `${ties}`,
    ] as const;
  output.table([
    ['', 'value', '95 %', 'n', 'ties'],
    ['preference accuracy', ...share(figures.accuracy)],
    ...Object.entries(figures.byGroup ?? {}).map(([group, accuracy]) => [`  ${group}`, ...share(accuracy)]),
    ['margin, mean', figures.meanMargin.toFixed(4)],
    ['margin, median', figures.medianMargin.toFixed(4)],
    ['perplexity', figures.perplexity.toFixed(3)],
    ['perplexity of the base', figures.basePerplexity.toFixed(3)],
    ['distinct-2', distinct === null ? 'none' : distinct.toFixed(3)],
    ...(rate === null ? [] : [['win rate', ...share(rate)]]),
  ]);
  if (rate !== null && judge !== null) {
    output.human(`judge ${judge.name}: ${judge.description}; ${rate.inconsistent} verdicts changed with the order`);
  }
}
