/**
 * `prefmesh node start|join|status|pause|leave`: this machine as a participant.
 */
import { existsSync } from 'node:fs';
import { Command, Option } from 'commander';
import { PrefmeshError } from '../../protocol/errors.ts';
import { isSha256, type Sha256 } from '../../protocol/names.ts';
import { PRESET_NAMES, type PresetName } from '../network/presets.ts';
import { writeAcknowledgements } from '../audit/acknowledgements.ts';
import { Participant, chooseMembership } from '../participant.ts';
import { bytesText, consentText } from '../participant/consent.ts';
import { joinFederation } from '../participant/join.ts';
import { leaveFederation } from '../participant/leave.ts';
import { VERIFY_MODES, type VerifyMode } from '../participant/receiptChain.ts';
import { type FederationStatus, nodeStatus, type NodeStatus } from '../participant/status.ts';
import { ParticipantStore } from '../participant/store.ts';
import type { Trouble } from '../participant/store.ts';
import { dataPaths } from '../storage/dataFolder.ts';
import { chooseDevice } from './device.ts';
import { commandLog } from './log.ts';
import { ParticipantDisplay } from './participantDisplay.ts';
import { addCommonOptions, addExample, type CommonOptions } from './options.ts';
import { Output } from './output.ts';
import { commandSignal, noteKept } from './signal.ts';
import { untilStopped } from './untilStopped.ts';
import { repeatedValue } from './values.ts';

export function nodeCommand(): Command {
  const command = new Command('node')
    .description('Take part in federations with the pairs on this machine.')
    .addCommand(joinCommand())
    .addCommand(startCommand())
    .addCommand(statusCommand())
    .addCommand(pauseCommand())
    .addCommand(acknowledgementsCommand())
    .addCommand(leaveCommand());
  return addExample(command, 'prefmesh node status');
}

interface NetworkOptions {
  readonly network: PresetName;
  readonly bootstrap?: string[];
}

interface JoinCommandOptions extends CommonOptions, NetworkOptions {
  readonly pairs: string;
  readonly consent?: string;
  readonly yes: boolean;
  readonly invite?: string;
  readonly model?: string;
}

function joinCommand(): Command {
  const command = new Command('join')
    .description('Join a federation: shows what would leave this machine, and asks for consent that names it.')
    .argument('<federation>', 'a federation file, or a ticket')
    .requiredOption('--pairs <file>', 'JSONL of your pairs; the file stays where it is and never leaves this machine')
    .option('--consent <hash>', 'agree to the terms with this hash')
    .option('--yes', 'agree to the terms whatever they are', false)
    .option('--invite <text>', 'an invite, where the ticket holds none')
    .option('--model <model>', 'the base model, where its name in the federation does not lead to it')
    .action((source: string, options: JoinCommandOptions) => join(source, options));
  addCommonOptions(addNetworkOptions(command));
  return addExample(
    command,
    'prefmesh node join our-notes.federation --pairs pairs.jsonl',
    'prefmesh node join our-notes.federation --pairs pairs.jsonl --consent 3f1c…',
  );
}

async function join(source: string, options: JoinCommandOptions): Promise<void> {
  const output = new Output(options);
  const { federation, pairs, consent } = await joinFederation({
    home: options.home,
    source,
    pairs: options.pairs,
    consent: options.yes ? 'yes' : options.consent,
    invite: options.invite,
    model: options.model,
    network: options.network,
    bootstrap: options.bootstrap,
    log: commandLog(options),
    show: (terms) => output.human(consentText(terms)),
    signal: commandSignal(),
  });
  output.json({ federation: federation.hash, name: federation.content.name, consent, pairs: pairs.count });
  output.human(`\njoined ${federation.content.name} with ${pairs.count} pairs; next: prefmesh node start`);
}

interface StartOptions extends CommonOptions, NetworkOptions {
  readonly federation?: string;
  readonly listen?: string[];
  readonly announce?: string[];
  readonly verify: VerifyMode;
  readonly revocations?: string;
  readonly exitWhenFinished: boolean;
}

function startCommand(): Command {
  const command = new Command('start')
    .description('Take part in the rounds of a federation that was joined.')
    .option('--federation <id>', 'which one, where several were joined')
    .option('--listen <multiaddr>', 'where to listen; may be repeated (default: by --network)', repeatedValue())
    .option('--announce <multiaddr>', 'the address to tell others, behind a forwarded port', repeatedValue())
    .addOption(
      new Option('--verify <how>', 'recompute every round, or believe its signed receipt')
        .choices(VERIFY_MODES)
        .default('full'),
    )
    .option(
      '--revocations <file>',
      "the owner's newest list of revocations: rounds that do not heed it are not adopted",
    )
    .option('--exit-when-finished', 'end when all rounds are done', false)
    .action((options: StartOptions) => start(options));
  addCommonOptions(addNetworkOptions(command));
  return addExample(
    command,
    'prefmesh node start',
    'prefmesh node start --bootstrap /ip4/203.0.113.7/tcp/4001/p2p/12D3…',
  );
}

async function start(options: StartOptions): Promise<void> {
  const output = new Output(options);
  checkJoined(options);
  noteKept('every update made and every adapter verified so far; the same command goes on with the same round');
  const show = new ParticipantDisplay(output);
  await using participant = await Participant.start({
    home: options.home,
    federation: federationOption(options.federation),
    network: options.network,
    listen: options.listen,
    announce: options.announce,
    bootstrap: options.bootstrap,
    compute: { device: await chooseDevice(options, output), threads: options.threads },
    seed: options.seed,
    verify: options.verify,
    revocations: options.revocations,
    log: commandLog(options),
    onEvent: (event) => {
      output.json(event);
      show.event(event);
    },
    signal: commandSignal(),
  });
  await untilStopped(participant.finished, options.exitWhenFinished, commandSignal());
}

function statusCommand(): Command {
  const command = new Command('status')
    .description('Show the federations of this node and where they stand, also while it runs.')
    .action((options: CommonOptions) => status(options));
  addCommonOptions(command);
  return addExample(command, 'prefmesh node status --json');
}

async function status(options: CommonOptions): Promise<void> {
  const output = new Output(options);
  const found = await nodeStatus(options.home);
  output.json(found);
  for (const line of statusLines(found)) output.human(line);
}

interface PauseOptions extends CommonOptions {
  readonly federation?: string;
  readonly resume: boolean;
}

function pauseCommand(): Command {
  const command = new Command('pause')
    .description(
      'Take no part until told otherwise: nothing is trained, sent or fetched, and no round waits for this node.',
    )
    .option('--federation <id>', 'which one, where several were joined')
    .option('--resume', 'take part again', false)
    .action((options: PauseOptions) => pause(options));
  addCommonOptions(command);
  return addExample(command, 'prefmesh node pause', 'prefmesh node pause --resume');
}

async function pause(options: PauseOptions): Promise<void> {
  const output = new Output(options);
  using store = openStore(options.home);
  const { federation } = chooseMembership(store, options.home, federationOption(options.federation));
  const chosen = options.resume ? 'active' : 'paused';
  store.setStatus(federation.hash, chosen);
  output.json({ federation: federation.hash, status: chosen });
  output.human(`${federation.content.name} is ${chosen}`);
}

interface AcknowledgementsOptions extends CommonOptions {
  readonly federation?: string;
  readonly out: string;
}

function acknowledgementsCommand(): Command {
  const command = new Command('acknowledgements')
    .description(
      'Write the signed acknowledgements of your updates: whoever has one and the receipts can prove an update left out.',
    )
    .requiredOption('--out <folder>', 'where to write them, one file a round')
    .option('--federation <id>', 'which one, where several were joined')
    .action((options: AcknowledgementsOptions) => acknowledgements(options));
  addCommonOptions(command);
  return addExample(
    command,
    'prefmesh node acknowledgements --out my-acknowledgements',
    'prefmesh verify audit --acknowledgements my-acknowledgements',
  );
}

async function acknowledgements(options: AcknowledgementsOptions): Promise<void> {
  const output = new Output(options);
  using store = openStore(options.home);
  const { federation } = chooseMembership(store, options.home, federationOption(options.federation));
  const written = await writeAcknowledgements(store, federation, options.out);
  output.json({ federation: federation.hash, acknowledgements: written, out: options.out });
  output.human(`${written} signed acknowledgements of ${federation.content.name} in ${options.out}`);
}

interface LeaveOptions extends CommonOptions, NetworkOptions {
  readonly federation?: string;
}

function leaveCommand(): Command {
  const command = new Command('leave')
    .description('Leave a federation: nothing is trained or sent from then on, and its aggregator is told.')
    .option('--federation <id>', 'which one, where several were joined')
    .action((options: LeaveOptions) => leave(options));
  addCommonOptions(addNetworkOptions(command));
  return addExample(command, 'prefmesh node leave');
}

async function leave(options: LeaveOptions): Promise<void> {
  const output = new Output(options);
  using store = openStore(options.home);
  const { federation, addresses } = chooseMembership(store, options.home, federationOption(options.federation));
  store.setStatus(federation.hash, 'leaving');
  const told = await leaveFederation(store, federation, {
    home: options.home,
    network: options.network,
    bootstrap: [...(options.bootstrap ?? []), ...addresses],
    log: commandLog(options),
    signal: commandSignal(),
  });
  output.json({ federation: federation.hash, left: true, aggregatorTold: told });
  const note =
    told === 'by-running-node' ? 'the running node tells the aggregator' : 'its aggregator could not be told';
  output.human(`left ${federation.content.name}${told === 'yes' ? '' : `; ${note}`}`);
}

function addNetworkOptions(command: Command): Command {
  return command
    .option('--bootstrap <multiaddr>', 'a node to enter the network by; may be repeated', repeatedValue())
    .addOption(new Option('--network <preset>', 'what network this is').choices(PRESET_NAMES).default('lan'));
}

function federationOption(text: string | undefined): Sha256 | undefined {
  if (text === undefined || isSha256(text)) return text;
  throw new PrefmeshError('USAGE', {
    problem: `${text} is not a federation id`,
    hint: 'pass the 64 hexadecimal digits that prefmesh node status shows',
  });
}

/** Finds out that there is nothing to take part in before any device is tried. Throws NOT_JOINED, SEVERAL_FEDERATIONS. */
function checkJoined({ home, federation }: StartOptions): void {
  using store = openStore(home);
  chooseMembership(store, home, federationOption(federation));
}

function openStore(home: string): ParticipantStore {
  const { database } = dataPaths(home);
  if (!existsSync(database)) throw new PrefmeshError('NOT_JOINED', { folder: home, which: 'in any federation' });
  return ParticipantStore.open(database);
}

function revocationLines({ revocations }: FederationStatus): string[] {
  if (revocations === null) return [];
  const { version, keys, own } = revocations;
  return [`  ${keys} keys revoked, by version ${version} of the list${own ? ': THIS ONE TOO' : ''}`];
}

function troubleLines(trouble: Trouble | undefined): string[] {
  if (trouble === undefined) return [];
  const { code, problem, fix, since } = trouble;
  return [`  since ${new Date(since).toISOString()} it waits: ${code}: ${problem}`, `  fix: ${fix}`];
}

function statusLines({ id, home, running, federations }: NodeStatus): string[] {
  return [
    `node ${id ?? '(no identity yet)'}, ${running ? 'running' : 'not running'}, in ${home}`,
    ...federations.flatMap((each) => [
      `${each.name} (${each.status}) ${each.federation}`,
      `  ${each.pairs} pairs; round ${each.standing?.round ?? '-'} ${each.standing?.phase ?? ''}`,
      ...troubleLines(each.standing?.trouble),
      `  verified up to round ${each.verifiedRound}, adapter ${each.adapter}`,
      `  ${each.folder ?? 'no adapter adopted yet'}`,
      ...revocationLines(each),
      `  ${bytesText(each.bytesSent)} sent, ${bytesText(each.bytesReceived)} received`,
    ]),
  ];
}
