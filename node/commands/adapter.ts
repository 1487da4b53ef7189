/**
 * `prefmesh adapter inspect`: what an adapter folder holds. `adapter export` and `adapter verify` have files of their own.
 */
import { Command } from 'commander';
import { inspectAdapter } from '../training/adapterInspection.ts';
import { adapterExportCommand } from './adapterExport.ts';
import { openAdapter, openModel } from './modelInput.ts';
import { showFacts } from './facts.ts';
import { addCommonOptions, addExample, type CommonOptions } from './options.ts';
import { Output } from './output.ts';
import { adapterVerifyCommand } from './verify.ts';

interface InspectOptions extends CommonOptions {
  readonly model?: string;
}

export function adapterCommand(): Command {
  const inspect = new Command('inspect')
    .description('Show what an adapter is, and whether it fits a model.')
    .argument('<folder>', 'PEFT folder')
    .option('--model <model>', 'the model it must fit')
    .action(inspectFolder);
  addExample(addCommonOptions(inspect), 'prefmesh adapter inspect adapter --model embedded');
  const command = new Command('adapter')
    .description('Look at adapters, and take them elsewhere.')
    .addCommand(inspect)
    .addCommand(adapterExportCommand())
    .addCommand(adapterVerifyCommand());
  return addExample(command, 'prefmesh adapter inspect adapter');
}

async function inspectFolder(folder: string, options: InspectOptions): Promise<void> {
  const output = new Output(options);
  const facts = await inspectAdapter(folder);
  if (options.model !== undefined) {
    const { checkpoint } = await openModel(options.model, options.home);
    await openAdapter(folder, checkpoint, output);
  }
  output.json({ adapter: folder, ...facts, ...(options.model === undefined ? {} : { fits: options.model }) });
  if (options.json) return;
  showFacts(output, [
    ['adapter', folder],
    ['SHA-256', facts.sha256],
    ['base', facts.base_sha256 ?? 'not recorded'],
    ['rank', `${facts.rank}, alpha ${facts.alpha}`],
    ['projections', `${facts.targets.join(', ')} of ${facts.layers} layers`],
    ['parameters', `${facts.parameters}, ${facts.dtypes.join(', ')}, ${facts.bytes} bytes`],
    ['norm of the change', facts.finite ? facts.norm.toPrecision(6) : 'none: it holds numbers that are not finite'],
    ...(options.model === undefined ? [] : [['fits', options.model] as const]),
  ]);
  if (facts.finite) {
    const strongest = facts.modules.toSorted((a, b) => b.norm - a.norm).slice(0, STRONGEST);
    output.table([['changed most', 'norm'], ...strongest.map(({ module, norm }) => [module, norm.toPrecision(4)])]);
  }
  const rows = facts.portability.map(({ program, loads, note }) => [program, loads ? 'yes' : 'no', note ?? '']);
  for (const [program, loads, note] of rows)
    output.human(`${program!.padEnd(10)} ${loads!.padEnd(4)} ${note}`.trimEnd());
}

/** Modules shown to people; with --json all are. */
const STRONGEST = 5;
