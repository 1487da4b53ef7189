import assert from 'node:assert/strict';
import { mkdtempDisposable, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { Command } from 'commander';
import {
  addTrainOptions,
  startingAdapter,
  trainingTerms,
  type TrainCommandOptions,
} from '../../../node/commands/trainOptions.ts';
import { defaultLearningRate } from '../../../node/commands/trainingOptions.ts';
import { prepareRun } from '../../../node/commands/trainRun.ts';
import { Output, type OutputStreams } from '../../../node/commands/output.ts';
import { openCheckpoint } from '../../../node/model/checkpoint.ts';
import { initialAdapter, withAlpha } from '../../../node/training/adapter.ts';

const { config } = await openCheckpoint('test/oracle/llama/model');
const inputs = ['--model', 'test/oracle/llama/model', '--pairs', 'test/oracle/llama/pairs.jsonl', '--out', 'unused'];

/** The options of a command line, parsed as the program parses them. */
function parse(...args: string[]): TrainCommandOptions {
  const command = addTrainOptions(new Command('train'))
    .exitOverride()
    .configureOutput({ writeErr: () => {} });
  return command.parse([...inputs, ...args], { from: 'user' }).opts<TrainCommandOptions>();
}

describe('options of prefmesh train', () => {
  it('stand for the terms of a run, defaults filled in', () => {
    assert.deepEqual(trainingTerms(parse(), config), {
      loss: 'sigmoid',
      beta: 0.1,
      learningRate: 1e-3,
      schedule: 'cosine',
      warmup: 0.1,
      maxGradNorm: 1,
      weightDecay: 0,
      batchSize: 8,
      accumulate: 1,
      epochs: 1,
      shuffle: true,
      seed: 0,
      factor: 'both',
    });
    const { steps, epochs, learningRate } = trainingTerms(parse('--steps', '7', '--learning-rate', '1e-5'), config);
    assert.deepEqual([steps, epochs, learningRate], [7, undefined, 1e-5]);
  });

  it('name the loss and only what it knows, with defaults of its own', () => {
    const lossOf = (...args: string[]) => {
      const { loss, beta, labelSmoothing, sftWeight } = trainingTerms(parse(...args), config);
      return { loss, beta, labelSmoothing, sftWeight };
    };
    const none = { labelSmoothing: undefined, sftWeight: undefined };
    assert.deepEqual(lossOf('--loss', 'ipo'), { loss: 'ipo', beta: 0.1, ...none });
    assert.deepEqual(lossOf('--loss', 'sigmoid_norm'), { loss: 'sigmoid_norm', beta: 5, ...none });
    assert.deepEqual(lossOf('--loss', 'cdpo', '--beta', '0.3'), {
      loss: 'cdpo',
      beta: 0.3,
      labelSmoothing: 0.1,
      sftWeight: undefined,
    });
    assert.deepEqual(lossOf('--loss', 'robust', '--label-smoothing', '0.2', '--sft-weight', '0.5'), {
      loss: 'robust',
      beta: 0.1,
      labelSmoothing: 0.2,
      sftWeight: 0.5,
    });
  });

  it('refuse label smoothing where the loss would ignore it', () => {
    for (const loss of ['sigmoid', 'ipo', 'hinge', 'apo_zero', 'sigmoid_norm']) {
      assert.throws(() => trainingTerms(parse('--loss', loss, '--label-smoothing', '0.1'), config), {
        code: 'USAGE',
        message: new RegExp(`--label-smoothing means nothing to --loss ${loss}`),
      });
    }
    assert.throws(() => parse('--loss', 'robust', '--label-smoothing', '0.5'), /at most 0.49/);
    assert.throws(() => parse('--loss', 'dpo'), /Allowed choices/);
  });

  it('give large models small rates', () => {
    assert.equal(
      defaultLearningRate({ ...config, hiddenSize: 576, intermediateSize: 1536, layers: 30, vocabSize: 49152 }),
      5e-5,
    );
    assert.equal(
      defaultLearningRate({ ...config, hiddenSize: 2048, intermediateSize: 8192, layers: 16, vocabSize: 128256 }),
      5e-6,
    );
  });

  it('begin with a fresh adapter of rank 16 and alpha 32 on the attention, or the one described', () => {
    const fresh = startingAdapter(parse(), config, null);
    const { rank, alpha, targets } = fresh;
    assert.deepEqual([rank, alpha, targets], [16, 32, ['q_proj', 'k_proj', 'v_proj', 'o_proj']]);
    const other = startingAdapter(parse('--rank', '3', '--alpha', '6', '--targets', 'up_proj,q_proj'), config, null);
    assert.deepEqual(other, initialAdapter(config, { rank: 3, targets: ['up_proj', 'q_proj'] }, 6, 0));
  });

  it('go on from a given adapter at its own alpha, or rescaled to the one asked', () => {
    const given = initialAdapter(config, { rank: 3, targets: ['q_proj'] }, 6, 0);
    given.vector.fill(0.25);
    assert.equal(startingAdapter(parse('--rank', '3', '--targets', 'q_proj'), config, given), given);
    assert.deepEqual(startingAdapter(parse('--alpha', '3'), config, given), withAlpha(given, 3));
  });

  it('are refused where they do not fit the given adapter', () => {
    const given = initialAdapter(config, { rank: 3, targets: ['q_proj'] }, 6, 0);
    for (const args of [
      ['--rank', '4'],
      ['--targets', 'q_proj,k_proj'],
    ]) {
      assert.throws(() => startingAdapter(parse(...args), config, given), { code: 'USAGE', exitCode: 2 });
    }
  });

  it('are refused where they make no sense', () => {
    for (const args of [
      ['--epochs', '1', '--steps', '1'],
      ['--targets', 'lm_head'],
      ['--factor', 'C'],
      ['--learning-rate', '0'],
      ['--warmup', '1'],
      ['--rank', '0'],
      ['--batch-size', '1.5'],
      ['--loss', 'dpo'],
      ['--shuffle', 'maybe'],
    ]) {
      assert.throws(() => parse(...args), { name: /Commander|InvalidArgument/ }, args.join(' '));
    }
  });

  it('say how many of the pairs to watch have a prompt that training sees', async () => {
    await using folder = await mkdtempDisposable(join(tmpdir(), 'prefmesh-watched-'));
    const watched = join(folder.path, 'watched.jsonl');
    const [first] = (await readFile('test/oracle/llama/pairs.jsonl', 'utf8')).split('\n');
    const others = ['A prompt of its own', 'Another'].map((prompt) => ({ prompt, chosen: 'yes', rejected: 'no' }));
    await writeFile(watched, [first, ...others.map((pair) => JSON.stringify(pair))].join('\n'));
    const noted = async (file: string) => {
      const stderr = new PassThrough();
      const options = parse('--eval-pairs', file, '--home', folder.path, '--device', 'cpu');
      await prepareRun(options, new Output({ json: true }, { stdout: stderr, stderr } as unknown as OutputStreams));
      return String(stderr.read() ?? '');
    };
    assert.match(await noted(watched), /^note: 1 of 3 pairs of --eval-pairs have a prompt that --pairs has too$/m);
    await writeFile(watched, others.map((pair) => JSON.stringify(pair)).join('\n'));
    assert.doesNotMatch(await noted(watched), /prompt/);
  });

  it('need pairs to watch before they can stop early', async () => {
    const options = parse('--early-stop', '1');
    await assert.rejects(prepareRun(options, new Output(options)), { code: 'USAGE' });
  });
});
