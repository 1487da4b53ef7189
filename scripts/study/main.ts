/**
 * `npm run study`: how much of what one place with all pairs would learn does a federation learn, and how much does a
 * participant learn alone? The demo's learning over several seeds, without its network, as a table with its spread.
 *
 *   npm run study -- [--seeds 3] [--participants 4] [--rounds 6]
 */
import { availableParallelism, cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { trainAlone, type Learner } from '../../aggregator/demo/alone.ts';
import { Assessor, type Assessment } from '../../aggregator/demo/assessment.ts';
import { DEMO_SETS, DEMO_TERMS, demoTraining, makeDemoData } from '../../aggregator/demo/plan.ts';
import { openCheckpoint } from '../../node/model/checkpoint.ts';
import { Tokenizer } from '../../node/model/tokenizer.ts';
import { TASTES } from '../../node/preferences/tastes/taste.ts';
import { initialAdapter } from '../../node/training/adapter.ts';
import { Policy } from '../../node/training/policy.ts';
import { tokenizePairs } from '../../node/training/tokenization.ts';
import { trainCentralised, trainFederated } from './methods.ts';

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '3' },
    participants: { type: 'string', default: '4' },
    rounds: { type: 'string', default: '6' },
  },
});
const [seeds, participants, rounds] = [values.seeds, values.participants, values.rounds].map(Number) as [
  number,
  number,
  number,
];

/** One row's figures, one entry a seed. */
const rows = new Map<string, Assessment[]>();
const signal = new AbortController().signal;
const checkpoint = await openCheckpoint('embedded');
const tokenizer = await Tokenizer.open(checkpoint.folder);
const started = performance.now();

for (let seed = 0; seed < seeds; seed++) {
  await using policy = await Policy.open({
    checkpoint,
    layout: DEMO_TERMS,
    scale: DEMO_TERMS.alpha / DEMO_TERMS.rank,
    threads: availableParallelism(),
  });
  const data = makeDemoData({ participants, rounds, seed });
  const learners: Learner[] = [];
  for (const pairs of data.participants) {
    const tokenized = tokenizePairs(tokenizer, pairs, { maxLength: DEMO_TERMS.maxLength }).pairs;
    learners.push({ pairs: tokenized, reference: await policy.logProbs(tokenized, null) });
  }
  const initial = initialAdapter(checkpoint.config, DEMO_TERMS, DEMO_TERMS.alpha, seed);
  const start = {
    policy,
    initial: initial.vector,
    table: initial.table,
    training: demoTraining(),
    rounds,
    seed,
    signal,
  };
  const assessor = await Assessor.open({ checkpoint, tokenizer, policy, ...data });

  const assess = async (name: string, vector: Float32Array | null) => {
    const assessment = await assessor.assess(vector && { ...initial, vector });
    rows.set(name, [...(rows.get(name) ?? []), assessment]);
    const minutes = (performance.now() - started) / 60_000;
    const { preferences, winRate } = assessment;
    process.stderr.write(
      `seed ${seed}, ${name}: accuracy ${percent(preferences.accuracy.value)}, win rate ${percent(winRate.value)}, ` +
        `perplexity ${preferences.perplexity.toFixed(3)} (${minutes.toFixed(1)} min)\n`,
    );
  };
  await assess('base', null);
  for (const [index, learner] of learners.entries()) {
    await assess(`participant ${index + 1} alone`, await trainAlone({ ...start, seed: seed + index }, learner));
  }
  await assess('federated, naive mean', await trainFederated(start, learners, 'mean'));
  await assess('federated, alternating', await trainFederated(start, learners, 'alternating'));
  await assess('centralised', await trainCentralised(start, learners));
}

print();

function print(): void {
  const columns = ['accuracy', ...TASTES, 'win rate', 'perplexity'];
  const lines = [
    `| trained | ${columns.join(' | ')} |`,
    `| --- | ${columns.map(() => '---:').join(' | ')} |`,
    ...[...rows].map(([name, assessments]) => `| ${name} | ${cells(assessments).join(' | ')} |`),
  ];
  process.stdout.write(`${lines.join('\n')}\n\n`);
  const gain = (name: string) =>
    (rows.get(name) ?? []).map(({ preferences }, seed) => {
      const base = rows.get('base')![seed]!;
      return preferences.accuracy.value - base.preferences.accuracy.value;
    });
  const central = gain('centralised');
  for (const name of ['federated, naive mean', 'federated, alternating']) {
    const shares = gain(name).map((value, seed) => value / central[seed]!);
    process.stdout.write(`${name}: ${spread(shares, percent)} of the centralised gain in accuracy\n`);
  }
  process.stdout.write(
    `\n${seeds} seeds, ${participants} participants of ${DEMO_SETS.participantPairs} pairs, ${rounds} rounds of ` +
      `${DEMO_TERMS.steps} steps; ${DEMO_SETS.evaluationPairs} evaluation pairs, ${DEMO_SETS.prompts} prompts; ` +
      `median (lowest to highest). ${cpus()[0]?.model ?? 'unknown processor'}, ${availableParallelism()} cores, ` +
      `${((performance.now() - started) / 60_000).toFixed(1)} minutes.\n`,
  );
}

function cells(assessments: readonly Assessment[]): string[] {
  const of = (read: (assessment: Assessment) => number, show: (value: number) => string) =>
    spread(assessments.map(read), show);
  return [
    of(({ preferences }) => preferences.accuracy.value, percent),
    ...TASTES.map((taste) => of(({ preferences }) => preferences.byGroup![taste]!.value, percent)),
    of(({ winRate }) => winRate.value, percent),
    of(
      ({ preferences }) => preferences.perplexity,
      (value) => value.toFixed(3),
    ),
  ];
}

/** Median, and the range where there is one. */
function spread(items: readonly number[], show: (value: number) => string): string {
  const sorted = items.toSorted((a, b) => a - b);
  const middle = (sorted[(sorted.length - 1) >> 1]! + sorted[sorted.length >> 1]!) / 2;
  return sorted.length === 1 ? show(middle) : `${show(middle)} (${show(sorted[0]!)} to ${show(sorted.at(-1)!)})`;
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}
