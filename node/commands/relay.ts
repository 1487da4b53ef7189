/**
 * `prefmesh relay start`: a node that joins those who cannot dial each other. It takes part in no federation and stores
 * nothing but its key.
 */
import { Command, Option } from 'commander';
import { Host } from '../network/host.ts';
import { PRESET_NAMES, type PresetName } from '../network/presets.ts';
import { DataFolder } from '../storage/dataFolder.ts';
import { openIdentity } from '../storage/keys.ts';
import { commandLog } from './log.ts';
import { addCommonOptions, addExample, type CommonOptions } from './options.ts';
import { Output } from './output.ts';
import { commandSignal, noteKept } from './signal.ts';
import { untilStopped } from './untilStopped.ts';
import { repeatedValue } from './values.ts';

export function relayCommand(): Command {
  const command = new Command('relay')
    .description('Join peers that cannot dial each other, on a machine that both can dial.')
    .addCommand(startCommand());
  return addExample(command, 'prefmesh relay start --listen /ip4/0.0.0.0/tcp/4002');
}

interface StartOptions extends CommonOptions {
  readonly listen?: string[];
  readonly announce?: string[];
  readonly bootstrap?: string[];
  readonly network: PresetName;
  readonly unlimited: boolean;
}

function startCommand(): Command {
  const command = new Command('start')
    .description('Relay until stopped.')
    .option('--listen <multiaddr>', 'where to listen; may be repeated (default: by --network)', repeatedValue())
    .option('--announce <multiaddr>', 'the address to tell others, behind a forwarded port', repeatedValue())
    .option('--bootstrap <multiaddr>', 'a node of the network to connect to; may be repeated', repeatedValue())
    .addOption(new Option('--network <preset>', 'what network this is').choices(PRESET_NAMES).default('internet'))
    .option('--unlimited', 'let adapters and updates through too: your bandwidth, for whoever asks', false)
    .action((options: StartOptions) => start(options));
  addCommonOptions(command);
  return addExample(command, 'prefmesh relay start --listen /ip4/0.0.0.0/tcp/4002 --unlimited');
}

async function start(options: StartOptions): Promise<void> {
  const output = new Output(options);
  noteKept('the key, so that the address stays the same');
  using folder = await DataFolder.open(options.home);
  await using host = await Host.start(await openIdentity(folder), {
    preset: options.network,
    role: 'relay',
    relayBounds: options.unlimited ? 'unlimited' : 'limited',
    log: commandLog(options),
    ...(options.listen && { listen: options.listen }),
    ...(options.announce && { announce: options.announce }),
    ...(options.bootstrap && { bootstrap: options.bootstrap }),
  });
  const { id, addresses } = host;
  output.json({ event: 'relaying', id, addresses, unlimited: options.unlimited });
  output.human(options.unlimited ? 'relaying, adapters and updates too' : 'relaying messages; adapters do not fit');
  for (const address of addresses) output.human(`  listening on ${address}`);
  await untilStopped(new Promise(() => {}), false, commandSignal());
}
