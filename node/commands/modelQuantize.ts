/**
 * `prefmesh model quantize`: a model's projections in 4 bits, in the cache or as a model folder of their own.
 */
import { Command, Option } from 'commander';
import { QUANTIZATION_SCHEMES, type QuantizationScheme } from '../model/quantization/scheme.ts';
import { writeQuantizedModel } from '../model/quantization/quantizedModel.ts';
import { quantized } from './basePrecision.ts';
import { showFacts } from './facts.ts';
import { openModel } from './modelInput.ts';
import { addCommonOptions, addExample, type CommonOptions } from './options.ts';
import { Output } from './output.ts';
import { commandSignal } from './signal.ts';

interface QuantizeCommandOptions extends CommonOptions {
  readonly scheme: QuantizationScheme;
  readonly out?: string;
}

export function modelQuantizeCommand(): Command {
  const command = new Command('quantize')
    .description('Put the projections of a model into 4 bits, the same bits on every machine.')
    .argument('<model>', 'a folder, embedded, or the id of a pulled model')
    .addOption(
      new Option('--scheme <name>', 'nf4 has the layout of bitsandbytes').choices(QUANTIZATION_SCHEMES).default('nf4'),
    )
    .option('--out <folder>', 'write a model folder here too, with everything else as it is')
    .action(quantizeModel);
  addCommonOptions(command);
  return addExample(command, 'prefmesh model quantize embedded --scheme nf4 --out embedded-nf4');
}

async function quantizeModel(model: string, options: QuantizeCommandOptions): Promise<void> {
  const output = new Output(options);
  const { checkpoint: original } = await openModel(model, options.home);
  const started = performance.now();
  const checkpoint = await quantized(original, options.scheme, options.home, output);
  const { scheme, hash, file, bytes, tensors } = checkpoint.quantized;
  let weights = 0;
  for (const { shape } of tensors.values()) weights += shape[0] * shape[1];
  if (options.out !== undefined) await writeQuantizedModel(options.out, checkpoint, { signal: commandSignal() });
  const facts = {
    model: checkpoint.name,
    base_sha256: checkpoint.hash,
    scheme,
    sha256: hash,
    file,
    out: options.out ?? null,
    matrices: tensors.size,
    weights,
    bytes,
    bits_per_weight: (8 * bytes) / weights,
    seconds: (performance.now() - started) / 1000,
  };
  output.json(facts);
  if (options.json) return;
  showFacts(output, [
    ['model', facts.model],
    ['scheme', facts.scheme],
    ['SHA-256', facts.sha256],
    ['file', facts.file],
    ...(facts.out === null ? [] : [['folder', facts.out] as const]),
    ['matrices', `${facts.matrices} of ${(weights / 1e6).toPrecision(3)} M weights`],
    ['size', `${(bytes / 2 ** 20).toFixed(1)} MiB, ${facts.bits_per_weight.toFixed(3)} bits a weight`],
    ['seconds', facts.seconds.toFixed(1)],
  ]);
}
