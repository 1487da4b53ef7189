/**
 * The command line's root: wires the commands of the rooms, stops them cleanly on Ctrl-C, and turns every failure
 * into one line of what happened, one line of what to do, and an exit code.
 */
import { Command, CommanderError } from 'commander';
import { expandConfigFile } from './node/commands/configFile.ts';
import { addExample } from './node/commands/options.ts';
import { packageVersion } from './node/commands/program.ts';
import { commandSignal, keptSoFar, listenForStopRequests } from './node/commands/signal.ts';
import { PrefmeshError, isPrefmeshError } from './protocol/errors.ts';

/** Each command and where it is, loaded only when it is called or listed. */
const COMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
  demo: async () => (await import('./aggregator/commands/demo.ts')).demoCommand(),
  score: async () => (await import('./node/commands/score.ts')).scoreCommand(),
  train: async () => (await import('./node/commands/train.ts')).trainCommand(),
  generate: async () => (await import('./node/commands/generate.ts')).generateCommand(),
  model: async () => (await import('./node/commands/model.ts')).modelCommand(),
  adapter: async () => (await import('./node/commands/adapter.ts')).adapterCommand(),
  evaluate: async () => (await import('./node/commands/evaluate.ts')).evaluateCommand(),
  federation: async () => (await import('./aggregator/commands/federation.ts')).federationCommand(),
  aggregate: async () => (await import('./aggregator/commands/aggregate.ts')).aggregateCommand(),
  aggregator: async () => (await import('./aggregator/commands/aggregator.ts')).aggregatorCommand(),
  simulate: async () => (await import('./aggregator/commands/simulate.ts')).simulateCommand(),
  verify: async () => (await import('./node/commands/verify.ts')).verifyCommand(),
  node: async () => (await import('./node/commands/node.ts')).nodeCommand(),
  relay: async () => (await import('./node/commands/relay.ts')).relayCommand(),
  doctor: async () => (await import('./node/commands/doctor.ts')).doctorCommand(),
};

const SHOWN_ON_REQUEST = new Set(['commander.helpDisplayed', 'commander.version']);

/** Runs one command line, the words after the program's name, and ends the process with its exit code. */
export async function main(args: readonly string[]): Promise<never> {
  const exitCode = await run(args);
  await flush();
  // A socket or a worker that a command left behind must not keep a finished program alive.
  process.exit(exitCode);
}

async function run(args: readonly string[]): Promise<number> {
  listenForStopRequests();
  process.on('uncaughtException', (error) => process.exit(report(error)));
  // A reader that went away (`prefmesh … | head`) is no fault of the program.
  process.stdout.on('error', (error: NodeJS.ErrnoException) =>
    process.exit(error.code === 'EPIPE' ? 0 : report(error)),
  );
  try {
    const root = await commandTree(args[0]);
    await root.parseAsync(expandConfigFile(root, args), { from: 'user' });
    return commandSignal().aborted ? report(new PrefmeshError('INTERRUPTED', { kept: keptSoFar() })) : 0;
  } catch (error) {
    if (error instanceof CommanderError && SHOWN_ON_REQUEST.has(error.code)) return 0;
    return report(error);
  }
}

/** The root with the command of the given name, or with all of them where there is none of that name. */
export async function commandTree(name?: string): Promise<Command> {
  const root = new Command('prefmesh')
    .description('Federated training of preference adapters: private pairs stay home, signed LoRA updates travel.')
    .version(packageVersion());
  const named = name !== undefined && Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  const wanted = named === undefined ? Object.values(COMMANDS) : [named];
  for (const load of wanted) root.addCommand(await load());
  addExample(root, 'prefmesh demo', 'prefmesh train --model embedded --pairs pairs.jsonl --out adapter');
  for (const command of [root, ...descendants(root)]) {
    command.exitOverride().configureOutput({ outputError: () => {} });
    if (command.commands.length > 0) command.allowExcessArguments().action(() => showHelpInstead(command));
  }
  return root;
}

function descendants(command: Command): Command[] {
  return command.commands.flatMap((child) => [child, ...descendants(child)]);
}

/** A group of commands called without one of them: its help on stderr, and an exit code that says so. */
function showHelpInstead(command: Command): never {
  const [word] = command.args;
  if (word === undefined) command.outputHelp({ error: true });
  throw new PrefmeshError('USAGE', {
    problem: word === undefined ? `${command.name()} needs a command` : `unknown command '${word}'`,
    hint: `run ${commandPath(command)} --help for the list`,
  });
}

function commandPath(command: Command): string {
  return command.parent === null ? command.name() : `${commandPath(command.parent)} ${command.name()}`;
}

/** Prints a failure the one way all failures are printed, and answers its exit code. */
function report(thrown: unknown): number {
  const failure = asFailure(thrown);
  process.stderr.write(`error ${failure.code}: ${failure.message}\nfix: ${failure.fix}\n`);
  if (process.argv.includes('debug') || process.argv.includes('trace')) {
    for (let cause: unknown = thrown; cause instanceof Error; cause = cause.cause)
      process.stderr.write(`${cause.stack}\n`);
  }
  return failure.exitCode;
}

function asFailure(thrown: unknown): PrefmeshError {
  if (isPrefmeshError(thrown)) return thrown;
  if (commandSignal().aborted) return new PrefmeshError('INTERRUPTED', { kept: keptSoFar() }, { cause: thrown });
  if (thrown instanceof CommanderError) {
    const problem = thrown.message.replace(/^error: /, '').replaceAll('\n', ' ');
    return new PrefmeshError('USAGE', { problem, hint: 'run the command with --help to see what it takes' });
  }
  const problem = thrown instanceof Error ? thrown.message : String(thrown);
  return new PrefmeshError('UNEXPECTED', { problem }, { cause: thrown });
}

/** Waits until both streams have handed over what was written. */
async function flush(): Promise<void> {
  for (const stream of [process.stdout, process.stderr]) {
    await new Promise<void>((resolve) => stream.write('', () => resolve()));
  }
}

if (import.meta.main) await main(process.argv.slice(2));
