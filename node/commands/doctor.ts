/**
 * `prefmesh doctor`: what works here, and how to mend what does not.
 */
import { Command, Option } from 'commander';
import { PrefmeshError } from '../../protocol/errors.ts';
import { bestDevice } from '../engine/devices/detection.ts';
import { type Diagnosis, examine } from '../doctor/examination.ts';
import { PRESET_NAMES, type PresetName } from '../network/presets.ts';
import type { Reach } from '../network/reachability.ts';
import { bytesText } from '../participant/consent.ts';
import { showFacts } from './facts.ts';
import { commandLog } from './log.ts';
import { addCommonOptions, addExample, type CommonOptions } from './options.ts';
import { Output } from './output.ts';
import { commandSignal } from './signal.ts';
import { repeatedValue } from './values.ts';

interface DoctorOptions extends CommonOptions {
  readonly network: PresetName;
  readonly listen?: string[];
  readonly bootstrap?: string[];
}

export function doctorCommand(): Command {
  const command = new Command('doctor')
    .description('Say what works here: devices, models, disk, and how the network reaches this node.')
    .option('--listen <multiaddr>', 'where to listen, to try whether it can; may be repeated', repeatedValue())
    .option('--bootstrap <multiaddr>', 'a peer to reach, besides the aggregators; may be repeated', repeatedValue())
    .addOption(new Option('--network <preset>', 'what network this is').choices(PRESET_NAMES).default('lan'))
    .action((options: DoctorOptions) => doctor(options));
  return addExample(
    addCommonOptions(command),
    'prefmesh doctor',
    'prefmesh doctor --network internet --bootstrap /ip4/203.0.113.7/tcp/4001/p2p/12D3…',
  );
}

async function doctor(options: DoctorOptions): Promise<void> {
  const output = new Output(options);
  const { home, network, listen, bootstrap, threads } = options;
  const common = { home, network, listen, bootstrap, threads };
  const diagnosis = await examine({ ...common, log: commandLog(options), signal: commandSignal() });
  output.json(diagnosis);
  show(output, diagnosis);
  const { length: count } = diagnosis.problems;
  if (count > 0) throw new PrefmeshError('DOCTOR_FOUND', { problems: count === 1 ? '1 problem' : `${count} problems` });
}

function show(output: Output, { federations, peers, problems, ...rest }: Diagnosis): void {
  const { home, node, devices, disk, network, listening, reachability } = rest;
  const { device, because } = bestDevice(devices);
  showFacts(output, [
    ['data folder', home],
    ['Node', node],
    ['computes on', because === '' ? device : `${device} (${because})`],
    ['disk', `${bytesText(disk.free)} free, ${bytesText(disk.needed)} needed`],
    ['network', `${network}; ${listening.length === 0 ? 'only dials out' : `listens on ${listening.join(', ')}`}`],
    ['reached', reachability ?? 'nobody to try: join a federation, or name a peer with --bootstrap'],
    ...peers.map((peer) => [`  …${peer.peer.slice(-12)}`, roadText(peer)] as const),
    ...federations.map((each) => [each.name, fitText(each)] as const),
  ]);
  for (const { code, what, fix } of problems) output.human(`\n${code}: ${what}\n  fix: ${fix}`);
  if (problems.length === 0) output.human('\nnothing stands in the way');
}

function roadText(reach: Reach): string {
  switch (reach.road) {
    case 'direct':
      return `direct, at ${reach.address}`;
    case 'relayed':
      return `relayed, ${reach.bytes === null ? 'any number of bytes' : bytesText(reach.bytes)}, at ${reach.address}`;
    case 'unreachable':
      return 'unreachable';
  }
}

function fitText({ adapter, fits, model }: Diagnosis['federations'][number]): string {
  if (adapter === null) return `the model ${model.name} is not here`;
  const sizes = `adapter ${bytesText(adapter.adapter)}, update ${bytesText(adapter.update)}`;
  if (fits === null) return `${sizes}; no aggregator to try`;
  return fits ? `${sizes}: the next adapter fits` : `${sizes}: the next adapter does not fit`;
}
