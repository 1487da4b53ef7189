/**
 * `prefmesh simulate`: a federation that does not exist yet, with its troubles and its enemies, from one seed.
 */
import { createWriteStream } from 'node:fs';
import { Command, InvalidArgumentError, Option } from 'commander';
import { durationValue } from '../../node/commands/duration.ts';
import { addCommonOptions, addExample, type CommonOptions } from '../../node/commands/options.ts';
import { Output } from '../../node/commands/output.ts';
import { commandSignal } from '../../node/commands/signal.ts';
import { integerValue, numberValue } from '../../node/commands/values.ts';
import { RULE_NAMES, type RuleName } from '../../protocol/aggregation/rules.ts';
import { PrefmeshError } from '../../protocol/errors.ts';
import { LIMITS } from '../../protocol/limits.ts';
import { ATTACK_NAMES, isAggregatorAttack, type AttackName } from '../simulation/attackers.ts';
import { figuresOf, type SimulationFigures } from '../simulation/figures.ts';
import { DEFAULTS, withDefaults, type SimulationOptions } from '../simulation/options.ts';
import { drawnOptions } from '../simulation/scenario.ts';
import { runSeeds } from '../simulation/seeds.ts';
import { INVARIANTS } from '../simulation/invariants.ts';

interface SimulateOptions extends CommonOptions {
  readonly participants?: number;
  readonly rounds?: number;
  readonly rule?: RuleName;
  readonly quorum?: number;
  readonly witnesses?: number;
  readonly dropout?: number;
  readonly loss?: number;
  readonly duplication?: number;
  readonly latency?: number;
  readonly partition?: number;
  readonly crashes?: number;
  readonly decay?: number;
  readonly skew?: number;
  readonly attack?: AttackName;
  readonly attackers?: number;
  readonly updateBytes?: number;
  readonly bandwidth?: number;
  readonly aggregatorBandwidth?: number;
  readonly trainingTime?: number;
  readonly roundTime?: number;
  readonly joinTime?: number;
  readonly seeds: number;
  readonly jobs: number;
  readonly fuzz: boolean;
  readonly trace?: string;
}

const share = numberValue({ min: 0, max: 1 });
const rate = numberValue({ min: 0, max: 1_000 });
const bytes = integerValue({ min: 1 });
const count = integerValue({ min: 1, max: LIMITS.participants.value });

export function simulateCommand(): Command {
  const command = new Command('simulate')
    .description(
      'Simulate a whole federation: the code of real rounds over a simulated clock, network and disk, from one seed.\n' +
        'Training is a stand-in, so accuracy compares runs with each other and says nothing of a real model.',
    )
    .option('--participants <n>', `how many take part (default: ${DEFAULTS.participants})`, count)
    .option(
      '--rounds <n>',
      `how many rounds (default: ${DEFAULTS.rounds})`,
      integerValue({ min: 1, max: LIMITS.rounds.value }),
    )
    .addOption(new Option('--rule <name>', `how updates are combined (default: ${DEFAULTS.rule})`).choices(RULE_NAMES))
    .option('--quorum <n>', 'fewest updates that close a round (default: half, at least 3)', count)
    .option(
      '--witnesses <n>',
      `members who repeat every round and cosign (default: ${DEFAULTS.witnesses})`,
      integerValue({ min: 0, max: LIMITS.witnesses.value }),
    )
    .option('--dropout <share>', `chance that a participant goes away in a round (default: ${DEFAULTS.dropout})`, share)
    .option('--loss <share>', `chance that a message is lost (default: ${DEFAULTS.loss})`, share)
    .option('--duplication <share>', `chance that a request comes twice (default: ${DEFAULTS.duplication})`, share)
    .option('--latency <time>', `median one-way delay (default: ${DEFAULTS.latency}ms)`, durationValue())
    .option('--partition <share>', 'share that is cut off for a while, every other round (default: 0)', share)
    .option('--crashes <n>', 'crashes of the aggregator a round, roughly (default: 0)', rate)
    .option('--decay <n>', 'blobs that rot on a disk a round, over all machines (default: 0)', rate)
    .option('--skew <time>', 'how far clocks are off, either way (default: none)', durationValue())
    .addOption(new Option('--attack <name>', 'what hostile peers do').choices(ATTACK_NAMES))
    .option(
      '--attackers <n>',
      'how many participants attack, or their share below 1 (default: a fifth)',
      attackersValue,
    )
    .option('--update-bytes <n>', `bytes of an update (default: ${DEFAULTS.updateBytes})`, bytes)
    .option('--bandwidth <n>', `bytes a second of a participant's link (default: ${DEFAULTS.bandwidth})`, bytes)
    .option(
      '--aggregator-bandwidth <n>',
      `bytes a second of the aggregator's link (default: ${DEFAULTS.aggregatorBandwidth})`,
      bytes,
    )
    .option(
      '--training-time <time>',
      `median time of a round's training (default: ${DEFAULTS.trainingTime / 1000}s)`,
      durationValue(),
    )
    .option(
      '--round-time <time>',
      'how long a round waits for answers (default: twice training and transfers, and a minute)',
      durationValue(),
    )
    .option(
      '--join-time <time>',
      `how long the first round waits for more members (default: ${DEFAULTS.joinTime / 1000}s)`,
      durationValue(),
    )
    .option('--seeds <n>', 'how many runs, each with the next seed', integerValue({ min: 1 }), 1)
    .option('--jobs <n>', 'how many at a time', integerValue({ min: 1, max: 256 }), 1)
    .option('--fuzz', 'draw from the seed whatever is not given: sizes of the troubles, the rule, the attack', false)
    .option('--trace <file>', 'write everything that happens there, one JSON object a line; for one seed')
    .action((options: SimulateOptions) => simulate(options));
  addCommonOptions(command);
  return addExample(
    command,
    'prefmesh simulate --participants 200 --rounds 20 --dropout 0.3',
    'prefmesh simulate --attack sign-flip --attackers 0.2 --rule alternating',
    'prefmesh simulate --fuzz --rounds 1 --seeds 100 --jobs 2',
  );
}

async function simulate(options: SimulateOptions): Promise<void> {
  const output = new Output(options);
  const { seed, seeds, jobs, trace } = options;
  if (trace !== undefined && seeds > 1) {
    throw new PrefmeshError('USAGE', { problem: `--trace of ${seeds} seeds`, hint: 'trace one seed at a time' });
  }
  const runs = Array.from({ length: seeds }, (_, i) => ({
    options: optionsOf(options, seed + i),
    compare: seeds === 1,
  }));
  const results: SimulationFigures[] = [];
  const progress = seeds > 1 ? output.progress({ label: 'simulating', total: seeds, unit: 'seeds' }) : undefined;
  let bad = 0;
  const told = (figures: SimulationFigures): void => {
    results.push(figures);
    output.json(figures);
    if (figures.invariants_broken.length > 0) bad += 1;
    progress?.update(results.length, bad === 0 ? '' : `${bad} broken`);
  };
  if (trace !== undefined) told(await traced(runs[0]!.options, trace));
  else for await (const figures of runSeeds(runs, { jobs, signal: commandSignal() })) told(figures);
  progress?.end();
  if (!options.json) show(output, results);

  const failed = results.filter(({ invariants_broken: broken }) => broken.length > 0);
  for (const { seed: failing, invariants_broken: broken } of failed) {
    output.human(`seed ${failing} breaks:`);
    for (const { invariant, who, problem } of broken.slice(0, 10)) {
      output.human(`  ${invariant} (${INVARIANTS[invariant]}): ${who} ${problem}`);
    }
  }
  const [first] = failed;
  if (first === undefined) return;
  const { invariant, who, problem } = first.invariants_broken[0]!;
  throw new PrefmeshError('INVARIANT_BROKEN', {
    seeds: failed
      .map((each) => each.seed)
      .slice(0, 20)
      .join(', '),
    seed: first.seed,
    problem: `${invariant}, ${who} ${problem}`,
  });
}

async function traced(options: SimulationOptions, file: string): Promise<SimulationFigures> {
  const stream = createWriteStream(file);
  const failed = Promise.withResolvers<never>();
  stream.on('error', failed.reject);
  failed.promise.catch(() => undefined); // raced below
  const run = figuresOf(options, { signal: commandSignal(), trace: (line) => void stream.write(`${line}\n`) });
  const figures = await Promise.race([run, failed.promise]);
  await Promise.race([new Promise<void>((resolve) => stream.end(resolve)), failed.promise]);
  return figures;
}

function optionsOf(options: SimulateOptions, seed: number): SimulationOptions {
  const { attack, participants = DEFAULTS.participants } = options;
  const attackers = countOf(options, participants);
  if (options.quorum !== undefined && options.quorum > participants) {
    throw new PrefmeshError('USAGE', {
      problem: `a quorum of ${options.quorum} of ${participants} participants`,
      hint: 'no round would ever close; ask for fewer updates',
    });
  }
  const given: Partial<SimulationOptions> = {
    seed,
    participants: options.participants,
    rounds: options.rounds,
    rule: options.rule,
    quorum: options.quorum,
    witnesses: options.witnesses,
    dropout: options.dropout,
    loss: options.loss,
    duplication: options.duplication,
    latency: options.latency,
    partition: options.partition,
    crashes: options.crashes,
    decay: options.decay,
    skew: options.skew,
    attack,
    attackers,
    updateBytes: options.updateBytes,
    bandwidth: options.bandwidth,
    aggregatorBandwidth: options.aggregatorBandwidth,
    trainingTime: options.trainingTime,
    roundTime: options.roundTime,
    joinTime: options.joinTime,
  } as Partial<SimulationOptions>;
  return options.fuzz ? drawnOptions(seed, given) : withDefaults(given);
}

/** How many attack: a count, or a share of the participants. */
function countOf({ attack, attackers, fuzz }: SimulateOptions, participants: number): number | undefined {
  if (attackers === undefined) return attack === undefined || fuzz ? undefined : Math.floor(participants / 5);
  if (attack === undefined || isAggregatorAttack(attack)) {
    throw new PrefmeshError('USAGE', {
      problem: `--attackers ${attackers} without an attack of participants`,
      hint: 'say with --attack what they do',
    });
  }
  const number = attackers < 1 ? Math.floor(attackers * participants) : attackers;
  if (number < participants) return number;
  throw new PrefmeshError('USAGE', {
    problem: `${number} attackers among ${participants} participants`,
    hint: 'leave somebody honest',
  });
}

function attackersValue(text: string): number {
  const value = Number(text);
  if (text.trim() !== '' && value >= 0 && (value < 1 || Number.isInteger(value))) return value;
  throw new InvalidArgumentError('It must be a whole number, or a share below 1.');
}

function show(output: Output, results: readonly SimulationFigures[]): void {
  const sum = (of: (figures: SimulationFigures) => number): number => results.reduce((all, each) => all + of(each), 0);
  const middle = (of: (figures: SimulationFigures) => number): number =>
    results.map(of).toSorted((a, b) => a - b)[Math.floor(results.length / 2)]!;
  const closed = sum(({ rounds_closed: rounds }) => rounds);
  const skipped = sum(({ rounds_skipped: rounds }) => rounds);
  const reasons = new Set(results.flatMap(({ skip_reasons: each }) => Object.keys(each)));
  const percent = (accuracy: number): string => `${(100 * accuracy).toFixed(1)} %`;
  const rows = [
    ['what', results.length === 1 ? `seed ${results[0]!.seed}` : `${results.length} seeds`],
    ['rounds closed', String(closed)],
    ['rounds skipped', `${skipped}${reasons.size === 0 ? '' : ` (${[...reasons].join(', ')})`}`],
    ['updates in the record', String(sum(({ updates_accepted: updates }) => updates))],
    ['updates lost', String(sum(({ updates_lost: updates }) => updates))],
    ['a round takes', `${middle(({ round_seconds: time }) => time ?? 0).toFixed(0)} s`],
    ['all of it takes', `${middle(({ simulated_seconds: time }) => time).toFixed(0)} s`],
    ['over the network', `${(middle((each) => each.bytes) / 2 ** 20).toFixed(1)} MiB`],
    ['stand-in accuracy before', percent(middle(({ accuracy }) => accuracy.before))],
    ['stand-in accuracy after', percent(middle(({ accuracy }) => accuracy.after))],
  ];
  const damages = results.map(({ damage_points: points }) => points).filter((points) => points !== null);
  if (damages.length > 0) rows.push(['damage by the attack', `${damages[0]!.toFixed(1)} points`]);
  rows.push(['simulated in', `${sum(({ seconds }) => seconds).toFixed(1)} s`]);
  rows.push(['invariants broken', String(sum(({ invariants_broken: broken }) => broken.length))]);
  output.table(rows);
}
