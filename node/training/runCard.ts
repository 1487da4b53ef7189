/**
 * The model card of an adapter that a training run made: README.md of its folder, with the front matter that the Hub
 * reads. Made from the run's record and log, so it says what was done in counts, hashes and figures; it holds no text
 * of the pairs and no path of the machine.
 *
 * Source: Hugging Face Hub documentation, "Model Cards" (metadata), and PEFT's own cards.
 */
import { wilson } from '../evaluation/intervals.ts';
import type { BaseQuantization } from './adapter.ts';
import type { PairCounts } from './pairCounts.ts';
import type { RunRecord } from './runRecord.ts';
import type { EvaluationLine, MetricLine } from './trainingLog.ts';
import type { StepMetrics } from './metrics.ts';

export interface RunCardFacts {
  /** With its result. */
  readonly record: RunRecord;
  /** Lines of the run's log. */
  readonly lines: readonly MetricLine[];
  /** What the base model's own card states. */
  readonly licence: string | null;
  /** How the base was held; null at its own precision. */
  readonly baseQuantization: BaseQuantization | null;
  /** The loss and its settings, in words. */
  readonly loss: string;
  /** Trained numbers. */
  readonly parameters: number;
}

/** What a model is called on the Hub; other names, such as that of a folder, are no use to it. */
const HUB_ID = /^\w[\w.-]*(\/\w[\w.-]*)?$/;
const LICENCE_ID = /^[a-z0-9][a-z0-9.+-]*$/;

/** README.md of an adapter folder, with the front matter that the Hub reads. Counts and figures, no text of a pair. */
export function runCard(facts: RunCardFacts): string {
  const { record, loss } = facts;
  return [
    ...frontMatter(facts),
    '',
    '# LoRA adapter trained on preference pairs',
    '',
    `Trained by prefmesh ${record.prefmesh} with direct preference optimisation (${loss}) against the frozen base model.`,
    'The scale is folded into B, so `lora_alpha` equals `r`.',
    '',
    ...results(facts),
    ...data(record),
    ...settings(facts),
    ...use(record),
  ].join('\n');
}

function frontMatter({ record: { model }, licence }: RunCardFacts): string[] {
  const onHub = HUB_ID.test(model) && model !== 'embedded';
  const known = licence !== null && LICENCE_ID.test(licence);
  return [
    '---',
    ...(onHub ? [`base_model: ${JSON.stringify(model)}`] : []),
    'library_name: peft',
    ...(licence === null
      ? []
      : known
        ? [`license: ${licence}`]
        : ['license: other', `license_name: ${JSON.stringify(licence)}`]),
    'pipeline_tag: text-generation',
    'tags:',
    ...(onHub ? [`  - ${JSON.stringify(`base_model:adapter:${model}`)}`] : []),
    '  - dpo',
    '  - lora',
    '  - prefmesh',
    '---',
  ];
}

function results({ record, lines }: RunCardFacts): string[] {
  const { step } = record.result!;
  const last = lines.filter((line): line is StepMetrics => 'loss' in line).at(-1);
  const evaluations = lines.filter((line): line is EvaluationLine => 'eval_loss' in line);
  const trained =
    last === undefined
      ? []
      : [
          `Last training step: loss ${figure(last.loss)}, margin ${figure(last['rewards/margins'])}, ${last.num_tokens} tokens seen.`,
          '',
        ];
  const before = evaluations.find((line) => line.step === 0);
  const after = evaluations.find((line) => line.step === step);
  const count = record.counts.evaluationPairs?.used ?? 0;
  if (before === undefined || after === undefined || count === 0) {
    return ['## Results', '', ...trained, 'It was not evaluated on held-out pairs.', ''];
  }
  const row = (label: string, value: (line: EvaluationLine) => string) =>
    `| ${label} | ${value(before)} | ${value(after)} |`;
  return [
    '## Results',
    '',
    ...trained,
    `On ${count} held-out pairs, with 95 % Wilson intervals:`,
    '',
    `| | before | after step ${step} |`,
    '|---|---|---|',
    row('loss', (line) => figure(line.eval_loss)),
    row('pairs with a positive margin', (line) => share(line['eval_rewards/accuracies'], count)),
    row('ties', (line) => figure(line['eval_rewards/ties'])),
    row('mean margin', (line) => figure(line['eval_rewards/margins'])),
    row('log-probability of chosen, nats', (line) => figure(line['eval_logps/chosen'])),
    row('log-probability of rejected, nats', (line) => figure(line['eval_logps/rejected'])),
    '',
  ];
}

function share(value: number, count: number): string {
  const { low, high } = wilson(Math.round(value * count), count);
  return `${value.toFixed(3)} (${low.toFixed(3)} to ${high.toFixed(3)})`;
}

function data({ counts, inputs }: RunRecord): string[] {
  const row = (label: string, value: (counts: PairCounts) => number) =>
    `| ${label} | ${value(counts.pairs)} | ${counts.evaluationPairs === null ? '' : value(counts.evaluationPairs)} |`;
  const hash = (name: string) => (inputs[name] == null ? '' : `\`${inputs[name].slice(0, 16)}\``);
  return [
    '## Data',
    '',
    'Preference pairs, each a prompt, a chosen and a rejected answer. They are not part of this folder.',
    '',
    '| pairs | training | held out |',
    '|---|---|---|',
    row('read', ({ read }) => read),
    row('used', ({ used }) => used),
    row('left out: no room for an answer, or no clear boundary', ({ dropped }) => dropped),
    row('left out: both answers the same', ({ equal }) => equal),
    row('used with an answer cut short', ({ cut }) => cut),
    `| SHA-256 of the tokens begins with | ${hash('pairs')} | ${hash('evaluation pairs')} |`,
    '',
  ];
}

function settings({ record, parameters, licence, baseQuantization }: RunCardFacts): string[] {
  const { model, inputs, options, runtime, result, prefmesh } = record;
  const facts = {
    'base model': `${model}, SHA-256 \`${inputs['base model']}\``,
    ...(baseQuantization !== null && {
      'base held in': `${baseQuantization.scheme}, 4 bits; SHA-256 of the quantised weights \`${baseQuantization.sha256}\``,
    }),
    'licence of the base model': licence ?? 'not stated',
    'trained parameters': parameters,
    'steps made': `${result!.steps} of ${record.totalSteps}; this is the adapter after step ${result!.step}`,
    versions: `prefmesh ${prefmesh}, ${Object.entries(runtime)
      .map(([name, version]) => `${name} ${version}`)
      .join(', ')}`,
  };
  return [
    '## Training',
    '',
    '| | |',
    '|---|---|',
    ...Object.entries(facts).map(([label, value]) => `| ${label} | ${value} |`),
    ...Object.entries(options).map(([name, value]) => `| \`${name}\` | ${value} |`),
    '',
    '`training_log.jsonl` has the metrics of every step. With the same base model and pairs, these settings make the',
    'same adapter again, bit for bit on the same kind of machine:',
    '',
    '```sh',
    `prefmesh train --config training_config.json --model ${model} --pairs pairs.jsonl --out again`,
    '```',
    '',
  ];
}

function use({ model }: RunRecord): string[] {
  return [
    '## Use',
    '',
    '```python',
    'from peft import PeftModel',
    'from transformers import AutoModelForCausalLM',
    '',
    `model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(${JSON.stringify(model)}), "path/to/this/folder")`,
    '```',
    '',
    '```sh',
    `prefmesh generate --model ${model} --adapter path/to/this/folder --prompt "..."`,
    '```',
    '',
    'It is meant for the base model named above and moves its answers towards the preferences of the training pairs; it',
    'adds no knowledge and no safety. Judge it on prompts of your own before you rely on it.',
    '',
    '**It can leak what it was trained on.** Weights that were fitted to texts can repeat parts of them. Pass the adapter',
    'on only to those who may read the pairs, or after you have judged that risk.',
    '',
  ];
}

function figure(value: number): string {
  return Number(value.toPrecision(4)).toString();
}
