/**
 * `npm run robustness`: how much attacks cost a federation under the default rule and under a plain mean, on the
 * embedded model. Prints the tables of `docs/reference/robustness.md`.
 *
 *   npm run robustness [-- --seeds 5] [--attack NAME …] [--minutes N] [--keep try/robustness]
 *
 * What was computed is kept in a folder, so a run that was stopped, or that `--minutes` ended, goes on when started
 * again. `--minutes` prints the tables of the seeds that are complete.
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

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '5' },
    attack: { type: 'string', multiple: true },
    minutes: { type: 'string' },
    keep: { type: 'string', default: 'try/robustness' },
  },
});
const seeds = Number(values.seeds);
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
  seeds: Array.from({ length: seeds }, (_, seed) => seed),
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

const complete = Math.floor(results.length / armsOf(attacks).length);
if (complete < seeds) process.stderr.write(`${complete} of ${seeds} seeds are complete; run again to go on\n`);
if (complete > 0) {
  const { participants, hostile, rounds, pairs, evaluationPairs, training } = SETTING;
  process.stdout.write(
    `${showTables(results.filter(({ seed }) => seed < complete))}\n` +
      `${complete} seeds, ${participants} participants of ${pairs} pairs, ${hostile} of them hostile, ${rounds} rounds of ` +
      `${training.steps} steps over ${training.batchSize} pairs; ${evaluationPairs} evaluation pairs; means over the seeds. ` +
      `${cpus()[0]?.model ?? 'unknown processor'}, ${availableParallelism()} cores, ${minutes()} minutes.\n`,
  );
}

function attackNamed(given: string): AttackName {
  const found = ATTACK_NAMES.find((name) => name === given);
  if (found !== undefined) return found;
  process.stderr.write(`error USAGE: --attack is one of ${ATTACK_NAMES.join(', ')}, not ${given}\n`);
  return process.exit(2);
}
