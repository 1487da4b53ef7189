/**
 * `npm run robustness`: how much attacks cost a federation under the default rule and under a plain mean, on the
 * embedded model. Prints the tables of `docs/reference/robustness.md`.
 *
 *   npm run robustness [-- --seeds 0,1,2,3,4] [--attack NAME …] [--minutes N] [--keep try/robustness]
 *
 * What was computed is kept in a folder, so a run that was stopped, or that `--minutes` ended, goes on when started
 * again. `--minutes` prints the tables of the seeds that are complete. Ends with 1 unless the default passes and the
 * plain mean fails.
 */
import { availableParallelism, cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { ATTACK_NAMES, type AttackName } from '../../aggregator/attacks/attacks.ts';
import { openCheckpoint } from '../../node/model/checkpoint.ts';
import { Tokenizer } from '../../node/model/tokenizer.ts';
import { Policy } from '../../node/training/policy.ts';
import { armsOf, runExperiment } from './experiment.ts';
import { Memory } from './memory.ts';
import { LAYOUT, SETTING } from './setting.ts';
import { showTables } from './table.ts';
import { showVerdict, verdictOf } from './verdict.ts';

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '0,1,2,3,4' },
    attack: { type: 'string', multiple: true },
    minutes: { type: 'string' },
    keep: { type: 'string', default: 'try/robustness' },
  },
});
const seeds = seedsOf(values.seeds);
const attacks = values.attack?.map(attackNamed) ?? ATTACK_NAMES;
const started = performance.now();
const minutes = () => ((performance.now() - started) / 60_000).toFixed(1);

const checkpoint = await openCheckpoint('embedded');
await using policy = await Policy.open({
  checkpoint,
  layout: LAYOUT,
  scale: LAYOUT.alpha / LAYOUT.rank,
  threads: 1, // the same sums on every machine of a kind
});
const results = await runExperiment({
  setting: SETTING,
  seeds,
  attacks,
  checkpoint,
  tokenizer: await Tokenizer.open(checkpoint.folder),
  policy,
  memory: new Memory(values.keep),
  onResult: ({ seed, attack, combination, figures }) => {
    process.stderr.write(
      `seed ${seed}, ${attack ?? 'honest'}, ${combination}: accuracy ${(100 * figures.accuracy).toFixed(1)} %, ` +
        `margin ${figures.margin.toFixed(4)}, triggered ${(100 * figures.triggered).toFixed(1)} % (${minutes()} min)\n`,
    );
  },
  ...(values.minutes !== undefined && { signal: AbortSignal.timeout(60_000 * Number(values.minutes)) }),
});

const complete = seeds.slice(0, Math.floor(results.length / armsOf(attacks).length));
if (complete.length < seeds.length) {
  process.stderr.write(`${complete.length} of ${seeds.length} seeds are complete; run again to go on\n`);
}
if (complete.length > 0) {
  const { participants, hostile, rounds, pairs, evaluationPairs, training } = SETTING;
  const found = results.filter(({ seed }) => complete.includes(seed));
  const verdict = verdictOf(found);
  process.stdout.write(
    `${showVerdict(verdict)}\n\n${showTables(found)}\n` +
      `Seeds ${complete.join(', ')}; ${participants} participants of ${pairs} pairs, ${hostile} of them hostile, ${rounds} rounds of ` +
      `${training.steps} steps over ${training.batchSize} pairs; ${evaluationPairs} evaluation pairs; means over the seeds. ` +
      `${cpus()[0]?.model ?? 'unknown processor'}, ${availableParallelism()} cores, ${minutes()} minutes.\n`,
  );
  if (!verdict.passed) process.exitCode = 1;
}

function seedsOf(given: string): number[] {
  const found = given.split(',').map(Number);
  if (/^\d+(,\d+)*$/.test(given) && new Set(found).size === found.length && found.every(Number.isSafeInteger))
    return found;
  process.stderr.write(`error USAGE: --seeds is a list of different whole numbers such as 0,1,2, not ${given}\n`);
  return process.exit(2);
}

function attackNamed(given: string): AttackName {
  const found = ATTACK_NAMES.find((name) => name === given);
  if (found !== undefined) return found;
  process.stderr.write(`error USAGE: --attack is one of ${ATTACK_NAMES.join(', ')}, not ${given}\n`);
  return process.exit(2);
}
