import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, watch } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { programCommand } from '../../../node/commands/program.ts';
import { RandomStream } from '../../../node/training/randomStream.ts';
import { readEvents } from '../training/tensorboard/eventReader.ts';
import { failure, prefmesh } from './childProgram.ts';

const MODEL = 'test/oracle/llama/model';
const PAIRS = 'test/oracle/llama/pairs.jsonl';
const STEPS = 48;
const MOST_KILLS = 8;

/** Set to repeat a course of kills, as far as timing allows. */
const seed = process.env.KILL_SEED ?? String(Date.now());

/** Figures that tell of the machine's mood, not of the run. */
const TIMINGS = new Set(['step_time', 'tokens_per_second', 'eval_runtime', 'eval_samples_per_second']);

const untimed = (folder: string) =>
  readFileSync(join(folder, 'training_log.jsonl'), 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) =>
      Object.fromEntries(
        Object.entries(JSON.parse(line) as Record<string, number>).filter(([name]) => !TIMINGS.has(name)),
      ),
    );
/** Rows without the columns that tell of time. */
const tableOf = (folder: string) => {
  const rows = readFileSync(join(folder, 'training_log.csv'), 'utf8').split('\n');
  const timed = rows[0]!.split(',').map((name) => TIMINGS.has(name));
  return rows.map((row) => row.split(',').filter((_, i) => timed[i] !== true));
};
const scalarsOf = (folder: string) => {
  const [name] = readdirSync(join(folder, 'tensorboard'));
  return readEvents(readFileSync(join(folder, 'tensorboard', name!))).map(({ step, scalars }) => ({
    step,
    scalars: Object.fromEntries(
      Object.entries(scalars).filter(([tag]) => !TIMINGS.has(tag.slice(6)) && !TIMINGS.has(`eval_${tag.slice(5)}`)),
    ),
  }));
};
const weights = (folder: string) => readFileSync(join(folder, 'adapter_model.safetensors'));

describe('prefmesh train, killed', () => {
  let home: string;
  before(() => (home = mkdtempSync(join(tmpdir(), 'prefmesh-killed-'))));
  after(() => rmSync(home, { recursive: true, force: true }));

  const settings = ['--rank', '16', '--batch-size', '2', '--learning-rate', '1e-2', '--steps', String(STEPS)];
  const saving = [
    ...settings,
    '--eval-pairs',
    PAIRS,
    '--eval-every',
    '5',
    '--checkpoint-every',
    '3',
    '--csv',
    '--tensorboard',
  ];
  const command = (out: string, ...rest: string[]) => {
    const inputs = ['train', '--model', MODEL, '--pairs', PAIRS, '--home', home, '--threads', '1'];
    return [...inputs, '--out', join(home, out), ...rest];
  };

  it(`ends with the bytes and the lines of an unbroken run, wherever it is killed (KILL_SEED=${seed})`, async function () {
    this.timeout(600_000);
    const whole = prefmesh(...command('whole', ...saving, '--early-stop', '99'));
    assert.equal(whole.code, 0, whole.stderr);

    const random = new RandomStream('kills', seed);
    const pick = (count: number) => Math.floor(random.uniform() * count);
    const out = join(home, 'killed');
    mkdirSync(join(out, 'checkpoints'), { recursive: true });
    const moments: string[] = [];
    const program = programCommand();
    const killed = command('killed', ...saving, '--early-stop', '99');
    for (let kills = 0; ;) {
      const child = spawn(program.command, [...program.leadingArguments, ...killed, '--resume', '--json']);
      const kill = (moment: string) => {
        if (child.killed || kills === MOST_KILLS) return;
        moments.push(moment);
        child.kill('SIGKILL');
      };
      // Some die while a state is written, some while the adapter is, the others after so many lines and a moment more.
      // The last comes late, for few runs survive to be killed again after it.
      const [way, lines, turns] = [kills < 4 ? 2 * pick(2) : pick(3), 1 + pick(14), pick(2000)];
      let drafts = 1 + pick(4);
      const watched = way === 0 ? [join(out, 'checkpoints')] : way === 1 ? [out] : [];
      const watchers = watched.map((folder) =>
        watch(folder, (_, name) => {
          const draft = /^\.(.+)\.\w+\.tmp$/.exec(name ?? '')?.[1];
          if (draft !== undefined && (way === 0 || draft !== 'training_config.json') && --drafts <= 0)
            kill(`writing ${draft}`);
        }),
      );
      let seen = 0;
      child.stdout.on('data', (chunk: Buffer) => {
        seen += chunk.toString().split('\n').length - 1;
        if (way !== 2 || seen < lines) return;
        let left = turns;
        const wait = () => (left-- > 0 ? setImmediate(wait) : kill(`after ${seen} lines`));
        wait();
      });
      let errors = '';
      child.stderr.on('data', (chunk) => (errors += String(chunk)));
      const [code] = (await once(child, 'close')) as [number | null];
      for (const watcher of watchers) watcher.close();
      if (code === 0) break;
      assert.equal(code, null, errors);
      kills++;
      const torn = readdirSync(out, { recursive: true }).some((name) => String(name).endsWith('.tmp'));
      if (torn) moments[moments.length - 1] += ', a torn file left';
    }
    process.stdout.write(`      killed ${moments.length} times: ${moments.join('; ')}\n`);

    assert.deepEqual(weights(out), weights(join(home, 'whole')));
    const read = (folder: string, file: string) => readFileSync(join(folder, file), 'utf8');
    for (const file of ['README.md', 'training_config.json', 'adapter_config.json'])
      assert.equal(read(out, file), read(join(home, 'whole'), file), file);
    assert.deepEqual(untimed(out), untimed(join(home, 'whole')));
    assert.deepEqual(tableOf(out), tableOf(join(home, 'whole')));
    assert.deepEqual(scalarsOf(out), scalarsOf(join(home, 'whole')));
    assert.equal(scalarsOf(out).length, STEPS + 1 + 10 + 1, 'steps, evaluations, and the event of the format');
    assert.deepEqual(readdirSync(out).sort(), readdirSync(join(home, 'whole')).sort(), 'nothing is left over');

    const again = prefmesh(...command('killed', ...saving, '--early-stop', '99', '--resume', '--json'));
    assert.match(again.stderr, /this run is finished: .+ holds the adapter of step/);
    assert.deepEqual([again.code, again.stdout], [0, '']);
    const longer = failure(...command('killed', ...saving, '--early-stop', '98', '--resume'));
    assert.equal(longer.code, 'RESUME_MISMATCH');
    assert.match(longer.stderr, /--early-stop was 99, is 98/);
  });
});
