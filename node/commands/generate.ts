/**
 * `prefmesh generate`: text from a model, greedy or sampled.
 */
import { Command } from 'commander';
import { PrefmeshError } from '../../protocol/errors.ts';
import type { ChatTemplate } from '../model/chatTemplate.ts';
import { Generator } from '../model/generation.ts';
import type { Tokenizer } from '../model/tokenizer.ts';
import { addBasePrecision, atPrecision, type BasePrecisionOptions } from './basePrecision.ts';
import { engineSettings, openAdapter, openModel } from './modelInput.ts';
import { addCommonOptions, addExample, type CommonOptions } from './options.ts';
import { Output } from './output.ts';
import { commandSignal } from './signal.ts';
import { integerValue, numberValue } from './values.ts';

interface GenerateOptions extends CommonOptions, BasePrecisionOptions {
  readonly model: string;
  readonly adapter?: string;
  readonly prompt: string;
  readonly chat: boolean;
  readonly maxTokens: number;
  readonly temperature: number;
  readonly topP: number;
}

export function generateCommand(): Command {
  const command = new Command('generate')
    .description('Let a model go on from a prompt.')
    .requiredOption('--model <model>', 'a folder, embedded, or the id of a pulled model')
    .option('--adapter <folder>', 'the adapter to generate with')
    .requiredOption('--prompt <text>', 'the text to go on from, given to the model as it is')
    .option('--chat', "ask as a user in the model's chat template, instead of going on from the text", false)
    .option('--max-tokens <n>', 'most tokens to generate', integerValue({ min: 1 }), 128)
    .option('--temperature <number>', '0 always takes the likeliest token', numberValue({ min: 0 }), 0)
    .option(
      '--top-p <share>',
      'sample from the likeliest tokens of this share',
      numberValue({ min: 0, max: 1, aboveMin: true }),
      1,
    )
    .action((options: GenerateOptions) => generate(options));
  addBasePrecision(command);
  addCommonOptions(command);
  return addExample(
    command,
    'prefmesh generate --model embedded --prompt "How do I grow tomatoes?" --max-tokens 60',
    'prefmesh generate --model HuggingFaceTB/SmolLM2-135M-Instruct --chat --prompt "How do I grow tomatoes?"',
  );
}

async function generate(options: GenerateOptions): Promise<void> {
  const output = new Output(options);
  const opened = await openModel(options.model, options.home);
  const { checkpoint, tokenizer, template } = await atPrecision(opened, options, output);
  const adapter = options.adapter === undefined ? null : await openAdapter(options.adapter, checkpoint, output);
  const prompt = tokenizer.encode(promptText(options, template));
  const room = checkpoint.config.maxPositions - prompt.length;
  if (prompt.length === 0 || room < 1) {
    const problem =
      prompt.length === 0 ? '--prompt is empty' : `--prompt fills the model's ${checkpoint.config.maxPositions} tokens`;
    throw new PrefmeshError('USAGE', { problem, hint: 'pass a prompt that leaves room for an answer' });
  }

  await using generator = await Generator.open({
    ...(await engineSettings(options, output)),
    checkpoint,
    ...(adapter === null
      ? {}
      : { adapter: { vector: adapter.vector, layout: adapter, scale: adapter.alpha / adapter.rank } }),
  });
  const streamed = new TextStream(tokenizer, (text) => output.product(text));
  const started = performance.now();
  const [generation] = await generator.generate([prompt], {
    maxTokens: Math.min(options.maxTokens, room),
    temperature: options.temperature,
    topP: options.topP,
    seed: options.seed,
    signal: commandSignal(),
    ...(output.interactive ? { onToken: (_: number, token: number) => streamed.add(token) } : {}),
  });
  const seconds = (performance.now() - started) / 1000;
  const { tokens, finishReason } = generation!;
  const text = tokenizer.decode(tokens);
  streamed.finish(text);
  output.product('\n');
  output.json({ text, tokens: tokens.length, tokens_per_second: tokens.length / seconds, finish_reason: finishReason });
}

function promptText({ prompt, chat, model }: GenerateOptions, template: ChatTemplate | null): string {
  if (!chat) return prompt;
  if (template !== null) return template.renderPair([{ role: 'user', content: prompt }], []).prompt;
  throw new PrefmeshError('USAGE', { problem: `${model} has no chat template`, hint: 'leave --chat out' });
}

/** Shows text as its tokens come. A character may take several tokens, so its unfinished bytes are held back. */
class TextStream {
  readonly #tokenizer: Tokenizer;
  readonly #write: (text: string) => void;
  readonly #tokens: number[] = [];
  #shown = '';

  constructor(tokenizer: Tokenizer, write: (text: string) => void) {
    this.#tokenizer = tokenizer;
    this.#write = write;
  }

  add(token: number): void {
    this.#tokens.push(token);
    const text = this.#tokenizer.decode(this.#tokens).replace(/\uFFFD+$/, '');
    if (text.startsWith(this.#shown)) this.#show(text);
  }

  /** Writes what of the whole text has not been written; all of it anew where a decoder rewrote its past. */
  finish(text: string): void {
    if (!text.startsWith(this.#shown)) {
      this.#write('\n');
      this.#shown = '';
    }
    this.#show(text);
  }

  #show(text: string): void {
    this.#write(text.slice(this.#shown.length));
    this.#shown = text;
  }
}
