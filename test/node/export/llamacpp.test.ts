import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeGgufAdapter } from '../../../node/export/ggufAdapter.ts';
import { planGgufModel } from '../../../node/export/ggufModel.ts';
import { EMBEDDED_FOLDER, openCheckpoint, type Checkpoint } from '../../../node/model/checkpoint.ts';
import { parseModelConfig } from '../../../node/model/config.ts';
import { Generator } from '../../../node/model/generation.ts';
import { writeSafetensors, type TensorDtype } from '../../../node/model/safetensors.ts';
import { Tokenizer } from '../../../node/model/tokenizer.ts';
import { expectedTensors } from '../../../node/model/weights.ts';
import { factorRanges, initialAdapter, type Adapter } from '../../../node/training/adapter.ts';
import { TARGET_MODULES } from '../../../node/training/adapterVector.ts';
import { Policy } from '../../../node/training/policy.ts';
import { RandomStream } from '../../../node/training/randomStream.ts';
import type { Answer, Request } from '../../../scripts/llamacpp/evaluate.ts';
import { installLlamaCpp } from '../../../scripts/llamacpp/install.ts';
import { byteFallbackTokenizer, SPLITS } from './tokenizerFiles.ts';

/** Asks llama.cpp, in a process of its own. */
function llamaCpp(request: Request): Answer {
  const outcome = spawnSync(process.execPath, ['scripts/llamacpp/evaluate.ts'], {
    input: JSON.stringify(request),
    encoding: 'utf8',
  });
  assert.equal(outcome.status, 0, `llama.cpp: ${outcome.stderr}`);
  return JSON.parse(outcome.stdout) as Answer;
}

/** An adapter that changes the model's answers: on every projection, both factors random, alpha not the rank. */
function disturbing(checkpoint: Checkpoint, size: number): Adapter {
  const adapter = initialAdapter(checkpoint.config, { rank: 4, targets: TARGET_MODULES }, 8, 7);
  const random = new RandomStream(3, 'disturbance', 0);
  for (const { start, end } of factorRanges(adapter.table, 'B')) {
    for (let i = start; i < end; i++) adapter.vector[i] = (2 * random.uniform() - 1) * size;
  }
  return adapter;
}

/** Our log-probability of every token but the first, given those before it. */
async function ourLogProbs(checkpoint: Checkpoint, adapter: Adapter, sequences: number[][], withAdapter: boolean) {
  const scale = adapter.alpha / adapter.rank;
  await using policy = await Policy.open({ checkpoint, layout: adapter, scale, threads: 1 });
  const pairs = sequences.flatMap((tokens, s) =>
    tokens.slice(1).map((token, i) => {
      return { id: `${s} ${i}`, prompt: tokens.slice(0, i + 1), chosen: [token], rejected: [token] };
    }),
  );
  const { chosen } = await policy.logProbs(pairs, withAdapter ? adapter.vector : null);
  let at = 0;
  return sequences.map((tokens) => [...chosen.subarray(at, (at += tokens.length - 1))]);
}

/** Our greedy continuations, as tokens without the end token. */
async function ourContinuations(checkpoint: Checkpoint, adapter: Adapter | null, prompts: number[][]) {
  const scaled = adapter === null ? undefined : { ...adapter, layout: adapter, scale: adapter.alpha / adapter.rank };
  await using generator = await Generator.open({ checkpoint, adapter: scaled, threads: 1 });
  return (await generator.generate(prompts, { maxTokens: 32 })).map(({ tokens }) => tokens);
}

/** The largest difference of two lists of lists of the same form. */
function furthest(a: readonly number[][], b: readonly number[][]): number {
  assert.deepEqual(
    a.map(({ length }) => length),
    b.map(({ length }) => length),
  );
  return Math.max(...a.flatMap((row, i) => row.map((value, j) => Math.abs(value - b[i]![j]!))));
}

/** A model folder with random weights and the oracle's byte tokenizer. */
async function writeRandomModel(folder: string, fields: object): Promise<void> {
  await cp('test/oracle/llama/model', folder, { recursive: true });
  const configFile = join(folder, 'config.json');
  const json = { ...(JSON.parse(await readFile(configFile, 'utf8')) as object), ...fields };
  await writeFile(configFile, JSON.stringify(json));
  const tensors = [...expectedTensors(parseModelConfig(json, configFile))].map(([name, shape]) => {
    const random = new RandomStream(1, 'weights', name);
    const length = shape.reduce((product, side) => product * side, 1);
    const [middle, spread] = name.endsWith('norm.weight') ? [1, 0.5] : [0, 0.3];
    return { name, shape, data: Float32Array.from({ length }, () => middle + spread * (2 * random.uniform() - 1)) };
  });
  await writeSafetensors(join(folder, 'model.safetensors'), tensors);
}

/** Oracle cases that llama.cpp has no way to compute. */
const REFUSED = new Set(['mistral', 'qwen2-window']);
const ORACLE_CASES = readdirSync('test/oracle').filter((name) => existsSync(join('test/oracle', name, 'model')));

const TEXTS = [
  'How do I name notes?\nName each note by its one idea, in 3 words or 12.',
  "It's the reader's; they'll say: DON'T!\n\n\nTwo lines  later,\tand  more   spaces   ",
  'Grüße – naïve café, 東京, Привет мир, 🙂👍🏽 and ½ of 1234567890',
  '<|endoftext|>a<|endoftext|>',
  'camelCase HTTPServer_x = y+1; // ok?\r\n  \r\n',
  '',
];
const PROMPTS = ['How do I name notes?\n', 'Write about the sea.\n', 'What is a federation?\n', 'List three tools.\n'];

describe('real llama.cpp, where it can be installed', function () {
  this.timeout(600_000);
  let folder: string;
  before(async function () {
    const missing = installLlamaCpp();
    if (missing !== undefined) {
      this.test!.title += ` (${missing})`;
      this.skip();
    }
    folder = await mkdtemp(join(tmpdir(), 'prefmesh-llamacpp-'));
  });
  after(async () => {
    if (folder !== undefined) await rm(folder, { recursive: true, force: true });
  });

  async function writeModel(checkpoint: Checkpoint, dtype: TensorDtype): Promise<string> {
    const file = join(folder, 'model.gguf');
    await (await planGgufModel(checkpoint, await Tokenizer.open(checkpoint.folder), dtype)).write(file);
    return file;
  }

  async function writeAdapter(adapter: Adapter, { config, name }: Checkpoint, dtype: TensorDtype): Promise<string> {
    const file = join(folder, 'adapter.gguf');
    await writeGgufAdapter(file, adapter, config, { dtype, baseModel: name });
    return file;
  }

  // In float16 llama.cpp rounds the activations before every product with a matrix too.
  for (const [dtype, tolerance] of [
    ['F32', 1e-4],
    ['F16', 2e-2],
    ['BF16', 0.2],
  ] as const) {
    it(`says what the embedded model says, base and adapter, as ${dtype}`, async () => {
      const checkpoint = await openCheckpoint('embedded');
      const tokenizer = await Tokenizer.open(checkpoint.folder);
      const adapter = disturbing(checkpoint, 0.1);
      const model = await writeModel(checkpoint, dtype);
      const prompts = PROMPTS.map((prompt) => tokenizer.encode(prompt));
      const sequences = TEXTS.slice(0, 3).map((text) => tokenizer.encode(text));
      const seen: number[][][] = [];
      for (const withAdapter of [false, true]) {
        const theirs = llamaCpp({
          model,
          adapter: withAdapter ? await writeAdapter(adapter, checkpoint, dtype) : undefined,
          texts: TEXTS,
          sequences,
          prompts,
          maxTokens: 32,
        });
        assert.deepEqual(
          theirs.tokens,
          TEXTS.map((text) => tokenizer.encode(text)),
        );
        seen.push(theirs.logProbs);
        const ours = await ourLogProbs(checkpoint, adapter, sequences, withAdapter);
        const difference = furthest(theirs.logProbs, ours);
        assert.ok(difference < tolerance, `log-probabilities differ by ${difference}`);
        if (dtype === 'BF16') continue; // its weights are rounded, so a close call may fall the other way
        const continuations = await ourContinuations(checkpoint, withAdapter ? adapter : null, prompts);
        assert.ok(continuations.some(({ length }) => length === 32));
        assert.deepEqual(
          theirs.continuations.map((tokens) => tokens.filter((token) => token !== tokenizer.eosTokenId)),
          continuations,
        );
        assert.deepEqual(
          theirs.texts,
          continuations.map((tokens) => tokenizer.decode(tokens)),
        );
      }
      assert.ok(furthest(seen[0]!, seen[1]!) > 1, 'the adapter changes something');
    });
  }

  const sequences = [[...Buffer.from('A sequence of bytes, of more than the 32 first positions of the model.')]];
  async function compare(checkpoint: Checkpoint): Promise<void> {
    const adapter = disturbing(checkpoint, 0.5);
    const model = await writeModel(checkpoint, 'F32');
    const adapterFile = await writeAdapter(adapter, checkpoint, 'F32');
    const seen = [false, true].map((withAdapter) => {
      return llamaCpp({ model, adapter: withAdapter ? adapterFile : undefined, sequences }).logProbs;
    });
    for (const [i, withAdapter] of [false, true].entries()) {
      const difference = furthest(seen[i]!, await ourLogProbs(checkpoint, adapter, sequences, withAdapter));
      assert.ok(difference < 1e-4, `log-probabilities differ by ${difference}, adapter: ${withAdapter}`);
    }
    assert.ok(furthest(seen[0]!, seen[1]!) > 1, 'the adapter changes something');
  }

  for (const name of ORACLE_CASES) {
    const refused = REFUSED.has(name);
    it(`${refused ? 'is not asked to compute' : 'computes'} the oracle's ${name}${refused ? '' : ' as this engine does'}`, async () => {
      const comparison = compare(await openCheckpoint(join('test/oracle', name, 'model')));
      await (refused ? assert.rejects(comparison, { code: 'EXPORT_UNSUPPORTED' }) : comparison);
    });
  }

  it('computes a Mistral without a window as this engine does', async () => {
    const model = join(folder, 'windowless');
    await cp('test/oracle/mistral/model', model, { recursive: true });
    const file = join(model, 'config.json');
    const json = JSON.parse(await readFile(file, 'utf8')) as object;
    await writeFile(file, JSON.stringify({ ...json, sliding_window: null }));
    await compare(await openCheckpoint(model));
  });

  for (const [name, changes] of Object.entries(SPLITS)) {
    if (name === 'GPT-2') continue; // the embedded model's own
    it(`tokenises as this tokenizer does, split by the rule of ${name}`, async () => {
      const model = join(folder, name);
      await cp(EMBEDDED_FOLDER, model, { recursive: true });
      const file = join(model, 'tokenizer.json');
      const json = JSON.parse(await readFile(file, 'utf8')) as { model: object };
      await writeFile(
        file,
        JSON.stringify({ ...json, ...changes.tokenizer, model: { ...json.model, ...changes.model } }),
      );
      const tokenizer = await Tokenizer.open(model);
      const theirs = llamaCpp({ model: await writeModel(await openCheckpoint(model), 'F16'), texts: TEXTS });
      assert.deepEqual(
        theirs.tokens,
        TEXTS.map((text) => tokenizer.encode(text)),
      );
    });
  }

  for (const spaces of ['normalizer', 'metaspace'] as const) {
    it(`tokenises as a SentencePiece tokenizer does, spaces by its ${spaces}`, async () => {
      const model = join(folder, spaces);
      await writeRandomModel(model, { vocab_size: 320, eos_token_id: 2, bos_token_id: 1 });
      const { tokenizer: json, settings } = byteFallbackTokenizer(spaces);
      await writeFile(join(model, 'tokenizer.json'), JSON.stringify(json));
      await writeFile(join(model, 'tokenizer_config.json'), JSON.stringify(settings));
      const tokenizer = await Tokenizer.open(model);
      assert.equal(tokenizer.encode('the then')[0], 1, 'it begins with its BOS');
      const texts = ['the then other, the ether', 'héé  the\nn 東 🙂', 'thethe'];
      if (spaces === 'normalizer') texts.push(' th'); // the other adds no space to one that is there; llama.cpp does
      const theirs = llamaCpp({ model: await writeModel(await openCheckpoint(model), 'F32'), texts });
      assert.deepEqual(
        theirs.tokens.map((tokens) => [1, ...tokens]),
        texts.map((text) => tokenizer.encode(text)),
      );
    });
  }
});
