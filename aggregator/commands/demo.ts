/**
 * `prefmesh demo`: a whole federation on this machine, from private pairs to a verified adapter, with a table of what
 * it learned and a page that shows it.
 */
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { chooseDevice } from '../../node/commands/device.ts';
import { commandLog } from '../../node/commands/log.ts';
import { addCommonOptions, addExample, type CommonOptions } from '../../node/commands/options.ts';
import { Output } from '../../node/commands/output.ts';
import { duration } from '../../node/commands/progress.ts';
import { commandSignal, noteKept } from '../../node/commands/signal.ts';
import { integerValue } from '../../node/commands/values.ts';
import { openCheckpoint } from '../../node/model/checkpoint.ts';
import { Tokenizer } from '../../node/model/tokenizer.ts';
import { bytesText } from '../../node/participant/consent.ts';
import { ruleByName } from '../../protocol/aggregation/rules.ts';
import type { Assessment } from '../demo/assessment.ts';
import { compare, type Comparison } from '../demo/comparison.ts';
import { DemoDisplay } from '../demo/display.ts';
import { FederationRun } from '../demo/federationRun.ts';
import { copyAdapter, prepareFolder, writeDemoData } from '../demo/folder.ts';
import { MemoryWatch } from '../demo/memory.ts';
import { DEMO_RULE, DEMO_TERMS, type DemoSize, makeDemoData } from '../demo/plan.ts';
import { nameOf, reportOfDemo } from '../demo/reportOfDemo.ts';
import { writeReport } from '../report/writeReport.ts';

interface DemoOptions extends CommonOptions {
  readonly participants: number;
  readonly rounds: number;
  readonly out: string;
}

export function demoCommand(): Command {
  const command = new Command('demo')
    .description('Run a federation on this machine: separate processes, real network, real training, and a report.')
    .option('--participants <n>', 'participant processes', integerValue({ min: 2, max: 16 }), 4)
    .option('--rounds <n>', 'rounds', integerValue({ min: 1, max: 100 }), 6)
    .option('--out <folder>', 'where everything of the demo goes, in place of an earlier demo', 'demo-out')
    .action((options: DemoOptions) => demo(options));
  addCommonOptions(command);
  return addExample(command, 'prefmesh demo', 'prefmesh demo --participants 2 --rounds 2 --out small-demo --json');
}

async function demo(options: DemoOptions): Promise<void> {
  const started = new Date();
  const output = new Output(options);
  const signal = commandSignal();
  const size: DemoSize = { participants: options.participants, rounds: options.rounds, seed: options.seed };
  const device = await chooseDevice(options, output);
  const cores = options.threads ?? availableParallelism();
  const display = new DemoDisplay(output, 2 * size.participants * size.rounds * DEMO_TERMS.steps);
  const folder = await prepareFolder(options.out);
  noteKept(`what the demo wrote to ${folder} so far`);

  const data = makeDemoData(size);
  const files = await writeDemoData(folder, data);
  display.say(
    `${size.participants} participants with ${data.participants[0]!.length} private pairs each, ${size.rounds} rounds, ` +
      `seed ${size.seed}, on ${device}; everything goes to ${folder}`,
  );

  await using run = new FederationRun({
    size,
    files,
    device,
    threads: { participant: Math.max(1, Math.floor(cores / size.participants)), aggregator: cores },
    onEvent: (event) => display.heard(event),
    log: commandLog(options),
    signal,
  });
  using memory = new MemoryWatch(() => [process.pid, ...run.processes]);
  const record = await run.run();
  display.say(`all participants verified every receipt and hold the same adapter, ${record.adapter.slice(0, 16)}…`);

  const checkpoint = await openCheckpoint('embedded');
  const comparison = await compare({
    checkpoint,
    tokenizer: await Tokenizer.open(checkpoint.folder),
    size,
    data,
    federated: record.folder,
    cores,
    onStep: (participant) => display.stepped(`${nameOf(participant)} alone`),
    onAssessed: (name) => display.say(`measured ${name}`),
    signal,
  });

  const adapter = await copyAdapter(folder, record.folder);
  const report = join(folder, 'report.html');
  const seconds = (Date.now() - started.getTime()) / 1000;
  const rule = `${DEMO_RULE} (${ruleByName(DEMO_RULE).label})`;
  await writeReport(
    report,
    reportOfDemo({ size, data, checkpoint, device, rule, record, comparison, started, seconds }),
  );

  display.table(
    tableRows(
      comparison,
      data.participants.map((pairs) => mainTaste(pairs)),
    ),
  );
  output.human(`\nwin rate over the base by the judge ${comparison.judge.name}: ${comparison.judge.description}`);
  output.human(`report   ${report}\nadapter  ${adapter}\n${duration(seconds)}${peakText(memory.peak)}`);
  output.json({
    participants: size.participants,
    rounds: size.rounds,
    seed: size.seed,
    ...figuresOf(comparison),
    adapter,
    report,
    aggregate: record.adapter,
    bytesSent: record.participants.reduce((sum, { bytesSent }) => sum + total(bytesSent.values()), 0),
    peakMemory: memory.peak,
    seconds,
  });
}

function tableRows({ base, alone, federated }: Comparison, tastes: readonly string[]) {
  return [
    { name: 'base', assessment: base },
    ...alone.map((assessment, index) => ({ name: `${nameOf(index)} alone (mostly ${tastes[index]})`, assessment })),
    { name: 'federated', assessment: federated },
  ];
}

/** The taste that most of the pairs show. */
function mainTaste(pairs: readonly { readonly metadata: { readonly taste: string } }[]): string {
  const counts = Object.groupBy(pairs, ({ metadata }) => metadata.taste);
  return Object.entries(counts).reduce((most, next) => (next[1]!.length > most[1]!.length ? next : most))[0];
}

interface Figures {
  readonly preferenceAccuracy: number;
  readonly winRate: number;
  readonly perplexity: number;
}

function figuresOf({ base, alone, federated }: Comparison) {
  const figures = ({ preferences, winRate }: Assessment): Figures => ({
    preferenceAccuracy: preferences.accuracy.value,
    winRate: winRate.value,
    perplexity: preferences.perplexity,
  });
  const each = alone.map(figures);
  const mean = (key: keyof Figures) => each.reduce((sum, one) => sum + one[key], 0) / each.length;
  return {
    base: figures(base),
    localOnly: {
      mean: {
        preferenceAccuracy: mean('preferenceAccuracy'),
        winRate: mean('winRate'),
        perplexity: mean('perplexity'),
      },
      best: each.reduce((best, one) => (one.preferenceAccuracy > best.preferenceAccuracy ? one : best)),
      each,
    },
    federated: figures(federated),
  };
}

function peakText(bytes: number | null): string {
  return bytes === null ? '' : `, at most ${bytesText(bytes)} of memory over all processes`;
}

function total(values: Iterable<number>): number {
  let sum = 0;
  for (const value of values) sum += value;
  return sum;
}
