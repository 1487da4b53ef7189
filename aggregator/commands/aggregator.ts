/**
 * `prefmesh aggregator start`: runs the rounds of one federation until it is stopped.
 */
import { Command, Option } from 'commander';
import { chooseDevice } from '../../node/commands/device.ts';
import { durationValue } from '../../node/commands/duration.ts';
import { commandLog } from '../../node/commands/log.ts';
import { addCommonOptions, addExample, type CommonOptions } from '../../node/commands/options.ts';
import { Output } from '../../node/commands/output.ts';
import { commandSignal, noteKept } from '../../node/commands/signal.ts';
import { untilStopped } from '../../node/commands/untilStopped.ts';
import { repeatedValue } from '../../node/commands/values.ts';
import { PRESET_NAMES, type PresetName } from '../../node/network/presets.ts';
import { readFederationFile } from '../../node/participant/federationFile.ts';
import { bytesText } from '../../node/participant/consent.ts';
import { Aggregator } from '../aggregator.ts';
import type { AggregatorEvent } from '../events.ts';
import { exportAudit } from '../exportAudit.ts';
import { ownKey } from './ownKey.ts';

export function aggregatorCommand(): Command {
  const command = new Command('aggregator')
    .description('Run the rounds of a federation.')
    .addCommand(startCommand())
    .addCommand(idCommand())
    .addCommand(exportCommand());
  return addExample(command, 'prefmesh aggregator start --help');
}

interface StartOptions extends CommonOptions {
  readonly federation: string;
  readonly evaluationPairs: string;
  readonly rootPairs: string;
  readonly model?: string;
  readonly listen?: string[];
  readonly announce?: string[];
  readonly bootstrap?: string[];
  readonly network: PresetName;
  readonly takeOverAfter?: number;
  readonly revocations?: string;
  readonly exitWhenFinished: boolean;
}

function startCommand(): Command {
  const command = new Command('start')
    .description('Serve a federation: let members in, collect updates, aggregate, evaluate, publish.')
    .requiredOption('--federation <file>', 'the federation file')
    .requiredOption('--evaluation-pairs <file>', 'the evaluation set that the federation was created with')
    .requiredOption('--root-pairs <file>', 'the root set that the federation was created with')
    .option('--model <model>', 'the base model, where its name in the federation does not lead to it')
    .option('--listen <multiaddr>', 'where to listen; may be repeated (default: by --network)', repeatedValue())
    .option('--announce <multiaddr>', 'the address to tell others, behind a forwarded port', repeatedValue())
    .option('--bootstrap <multiaddr>', 'a node of the network to connect to; may be repeated', repeatedValue())
    .addOption(new Option('--network <preset>', 'what network this is').choices(PRESET_NAMES).default('lan'))
    .option(
      '--take-over-after <duration>',
      'of several aggregators: how long none must be heard of before the second takes over (default: 30s)',
      durationValue(),
    )
    .option(
      '--revocations <file>',
      "the owner's newest list of revocations, where it was not handed in over the network",
    )
    .option('--exit-when-finished', 'end when all rounds are done and members have the last adapter', false)
    .action((options: StartOptions) => start(options));
  addCommonOptions(command);
  return addExample(
    command,
    'prefmesh aggregator start --federation our-notes.federation --evaluation-pairs eval.jsonl \\',
    '  --root-pairs root.jsonl --network internet --listen /ip4/0.0.0.0/tcp/4001',
  );
}

function idCommand(): Command {
  const command = new Command('id')
    .description("Show the id of this data folder's key, by which a manifest names it; makes the key if there is none.")
    .action(async (options: CommonOptions) => {
      const { id } = await ownKey(options.home);
      const output = new Output(options);
      output.json({ id });
      output.human(id);
    });
  addCommonOptions(command);
  return addExample(command, 'prefmesh aggregator id --home aggregator');
}

interface ExportOptions extends CommonOptions {
  readonly federation: string;
  readonly out: string;
}

function exportCommand(): Command {
  const command = new Command('export')
    .description('Write all that anyone needs to check the federation: manifest, receipts, updates, checkpoint.')
    .requiredOption('--federation <file>', 'the federation file')
    .requiredOption('--out <folder>', 'where it goes; again adds what is new')
    .action((options: ExportOptions) => exportFederation(options));
  addCommonOptions(command);
  return addExample(command, 'prefmesh aggregator export --federation our-notes.federation --out audit');
}

async function exportFederation(options: ExportOptions): Promise<void> {
  const output = new Output(options);
  const federation = await readFederationFile(options.federation);
  const { rounds, updates, blobs, missing } = await exportAudit(options.home, federation, options.out);
  output.json({ federation: federation.hash, rounds, updates, blobs, missing, out: options.out });
  output.human(
    `${rounds} rounds with ${updates} updates written to ${options.out}; next: prefmesh verify ${options.out}`,
  );
  for (const hash of missing) output.human(`  no longer here: blob ${hash}`);
}

async function start(options: StartOptions): Promise<void> {
  const output = new Output(options);
  const federation = await readFederationFile(options.federation);
  noteKept('the ledger with every acknowledged update; the same command goes on with the same round');
  await using aggregator = await Aggregator.start({
    home: options.home,
    federation,
    evaluationPairs: options.evaluationPairs,
    rootPairs: options.rootPairs,
    model: options.model,
    network: options.network,
    listen: options.listen,
    announce: options.announce,
    bootstrap: options.bootstrap,
    takeOverAfter: options.takeOverAfter,
    revocations: options.revocations,
    compute: { device: await chooseDevice(options, output), threads: options.threads },
    log: commandLog(options),
    onEvent: (event) => {
      output.json(event);
      for (const line of linesOf(event)) output.human(line);
    },
    signal: commandSignal(),
  });
  await untilStopped(aggregator.finished, options.exitWhenFinished, commandSignal());
}

/** An event in words. */
function linesOf(event: AggregatorEvent): string[] {
  switch (event.event) {
    case 'base-measured':
      return [`base model measured: perplexity ${event.perplexity.toFixed(3)} on the evaluation set`];
    case 'listening':
      return [
        `serving federation ${event.federation}, round ${event.round}, ${event.phase}`,
        ...event.addresses.map((address) => `  listening on ${address}`),
      ];
    case 'standing-by':
      return [`standing by: ${event.aggregator} runs round ${event.round}; ${event.copied} rounds copied`];
    case 'took-over':
      return [`no other aggregator runs the federation: going on with round ${event.round}`];
    case 'other-history':
      return [
        `LOG_FORKED: the ${event.receipts} receipts of aggregator ${event.aggregator} are another history than the ` +
          `${event.own} here; participants follow the one that they have verified`,
      ];
    case 'joined':
      return [`${event.participant} joined with ${event.pairsBucket} pairs or more; ${event.members} members`];
    case 'left':
      return [`${event.participant} left; ${event.members} members`];
    case 'revoked':
      return [
        `list of revocations, version ${event.version}: ${event.participants.length} keys, ${event.invites} invites`,
        ...event.participants.map((id) => `  revoked ${id}`),
      ];
    case 'round-opened': {
      const until = new Date(event.deadline).toLocaleTimeString();
      return [`round ${event.round}: ${event.cohort.length} participants train factor ${event.factor} until ${until}`];
    }
    case 'update-accepted':
      return [
        `round ${event.round}: update of ${event.participant}, ${bytesText(event.bytes)}, norm ` +
          `${event.norm.toPrecision(3)}; ${event.accepted} of ${event.cohort}`,
      ];
    case 'refused':
      return [`refused ${event.message ?? 'a message'} of ${event.participant}: ${event.code}`];
    case 'aggregated':
      return [`round ${event.round}: ${event.updates} updates aggregated in ${event.seconds.toFixed(2)} s`];
    case 'round-closed':
      return [
        `round ${event.round} ${event.outcome}${event.reason === null ? '' : ` (${event.reason})`} after ` +
          `${event.seconds.toFixed(1)} s, ${bytesText(event.bytesReceived)} received so far`,
        ...(event.accuracy === null || event.figures === null
          ? []
          : [
              `  preference accuracy ${percent(event.accuracy.value)} ` +
                `(${percent(event.accuracy.low)} to ${percent(event.accuracy.high)}), ` +
                `perplexity ${event.figures.evaluation.perplexity.toFixed(3)}`,
            ]),
        ...Object.entries(event.byTaste).map(([taste, { value }]) => `    ${taste} ${percent(value)}`),
        `  adapter ${event.adapter}`,
        `  receipt ${event.receipt}`,
      ];
    case 'finished':
      return [`all ${event.rounds} rounds are done; adapter ${event.adapter}`];
  }
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}
