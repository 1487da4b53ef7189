/**
 * `prefmesh model inspect`: what a model is, its identity, and the memory it takes under which settings.
 */
import { Command } from 'commander';
import type { Checkpoint } from '../model/checkpoint.ts';
import { traitsOf } from '../model/traits.ts';
import { MEMORY_ERROR, parameterCounts, trainingMemory } from '../training/memory.ts';
import { HEAD_CHUNK, TOKEN_BUDGET } from '../training/policy.ts';
import { showFacts } from './facts.ts';
import { factsOf, megabytes, millions, originOf, shownRevision } from './modelFacts.ts';
import { openModel } from './modelInput.ts';
import { addCommonOptions, addExample, type CommonOptions } from './options.ts';
import { Output } from './output.ts';
import { integerValue } from './values.ts';

interface InspectOptions extends CommonOptions {
  readonly batchSize: number;
  readonly maxLength: number;
  readonly tokenBudget: number;
}

export function modelInspectCommand(): Command {
  const count = integerValue({ min: 1 });
  const command = new Command('inspect')
    .description('Show what a model is, its identity, and the memory that training it takes.')
    .argument('<model>', 'a folder, embedded, or the id of a pulled model')
    .option('--batch-size <n>', 'the memory: pairs of a batch', count, 8)
    .option('--max-length <n>', 'the memory: tokens of prompt and answer', integerValue({ min: 2 }), 1024)
    .option('--token-budget <n>', 'the memory: most tokens run at once', count, TOKEN_BUDGET)
    .action(inspectModel);
  return addExample(addCommonOptions(command), 'prefmesh model inspect embedded --batch-size 4 --max-length 256');
}

async function inspectModel(model: string, options: InspectOptions): Promise<void> {
  const output = new Output(options);
  const { checkpoint, tokenizer, template } = await openModel(model, options.home);
  const { config } = checkpoint;
  const { embedding, head, attention, feedForward, norms } = parameterCounts(config);
  const parts = { embedding, head, attention, feedForward, norms };
  const facts = {
    ...factsOf(checkpoint),
    ...(await originOf(checkpoint.folder)),
    parts,
    config,
    tokenizer: {
      tokens: tokenizer.vocabSize,
      eos: tokenizer.eosTokenId,
      bos: tokenizer.bosTokenId,
      addsBos: tokenizer.addsBos,
    },
    chatTemplate: template !== null,
    memory: memoryOf(checkpoint, options),
  };
  output.json(facts);
  if (options.json) return;
  showFacts(output, [
    ['model', facts.model],
    ['SHA-256', facts.sha256],
    ['folder', facts.folder],
    ...(facts.commit === null ? [] : [['revision', shownRevision(facts) ?? ''] as const]),
    ['licence', facts.licence ?? 'not stated'],
    ['family', [facts.family, ...traitsOf(config)].join(', ')],
    ['parameters', `${millions(facts.parameters)} in ${facts.tensors} tensors of ${facts.dtypes.join(', ')}`],
    ['of these', partsText(parts)],
    ['size', megabytes(facts.bytes)],
    ['layers', String(config.layers)],
    ['width', `${config.hiddenSize}, feed-forward ${config.intermediateSize}`],
    ['heads', `${config.heads} of width ${config.headDim}, ${config.kvHeads} for keys`],
    ['vocabulary', `${config.vocabSize}, tokenizer ${tokenizer.vocabSize}`],
    ['positions', String(config.maxPositions)],
    ['end token', String(tokenizer.eosTokenId ?? 'none')],
    ['begins with', tokenizer.addsBos ? `token ${tokenizer.bosTokenId}` : 'nothing'],
    ['chat template', template === null ? 'none' : 'yes'],
  ]);
  showMemory(output, facts.memory);
}

function partsText(parts: Readonly<Record<string, number>>): string {
  const named = { ...parts, 'feed-forward': parts.feedForward ?? 0, feedForward: 0 };
  const shown = Object.entries(named).filter(([, count]) => count > 0);
  return shown.map(([name, count]) => `${name} ${millions(count)}`).join(', ');
}

/** Estimates for training with an answer half as long as the whole, under every setting that saves memory. */
function memoryOf(checkpoint: Checkpoint, { batchSize, maxLength, tokenBudget }: InspectOptions) {
  const length = Math.min(maxLength, checkpoint.config.maxPositions);
  const prompt = Math.ceil(length / 2);
  const completion = length - prompt;
  // As micro-batches are planned: prompt and both answers in one row, as many rows as the budget holds.
  const pairs = Math.min(batchSize, Math.max(1, Math.floor(tokenBudget / (prompt + 2 * completion))));
  const already = checkpoint.quantized;
  const training = [];
  for (const base of already === undefined ? [undefined, 'nf4' as const, 'int4' as const] : [already.scheme]) {
    for (const activationCheckpointing of [false, true]) {
      const extents = { pairs, prompt, completion, activationCheckpointing, base, headChunk: HEAD_CHUNK };
      const { config } = checkpoint;
      const { peak, ...parts } = trainingMemory(config, extents);
      training.push({
        base_precision: base ?? 'full',
        activation_checkpointing: activationCheckpointing,
        peak,
        ...parts,
      });
    }
  }
  return { device: 'cpu', pairs_at_once: pairs, prompt, completion, error: MEMORY_ERROR, training };
}

function showMemory(output: Output, memory: ReturnType<typeof memoryOf>): void {
  const { pairs_at_once: pairs, prompt, completion, error, training } = memory;
  output.human('');
  output.human(
    `memory of training on the processor, ${pairs} pairs of ${prompt} + ${completion} tokens at once, within ${error * 100} %:`,
  );
  const rows = training.map(({ base_precision: base, activation_checkpointing: again, peak, ...parts }) => [
    `${base} base${again ? ', activation checkpointing' : ''}`,
    ...[peak, parts.weights, parts.activations, parts.logits].map(megabytes),
  ]);
  output.table([['setting', 'peak', 'weights', 'activations', 'logits'], ...rows]);
}
