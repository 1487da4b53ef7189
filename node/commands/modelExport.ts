/**
 * `prefmesh model export`: a model as one GGUF file, for llama.cpp and what is built on it.
 */
import { dirname, resolve } from 'node:path';
import { Command, Option } from 'commander';
import { planGgufModel } from '../export/ggufModel.ts';
import type { Checkpoint } from '../model/checkpoint.ts';
import { DTYPE_NAMES, dtypeOf, type DtypeName } from '../model/tensorBytes.ts';
import { makeFolder, naming } from '../storage/atomicFile.ts';
import { addBasePrecision, atPrecision, type BasePrecisionOptions } from './basePrecision.ts';
import { showFacts } from './facts.ts';
import { openModel } from './modelInput.ts';
import { addCommonOptions, addExample, type CommonOptions } from './options.ts';
import { Output } from './output.ts';
import { commandSignal } from './signal.ts';

interface ExportOptions extends CommonOptions, BasePrecisionOptions {
  readonly home: string;
  readonly format: 'gguf';
  readonly out: string;
  readonly dtype?: DtypeName;
}

export function modelExportCommand(): Command {
  const command = new Command('export')
    .description('Write a model as one GGUF file with its tokenizer, for llama.cpp and Ollama.')
    .argument('<model>', 'a folder, embedded, or the id of a pulled model')
    .addOption(new Option('--format <format>', 'the kind of file').choices(['gguf']).default('gguf'))
    .requiredOption('--out <file>', 'the file to write')
    .addOption(new Option('--dtype <dtype>', 'how matrices are stored; as the model has them').choices(DTYPE_NAMES))
    .action(exportModel);
  addBasePrecision(command);
  return addExample(addCommonOptions(command), 'prefmesh model export embedded --out embedded.gguf');
}

async function exportModel(name: string, options: ExportOptions): Promise<void> {
  const output = new Output(options);
  const { out } = options;
  const { checkpoint, tokenizer } = await atPrecision(await openModel(name, options.home), options, output);
  const dtype = options.dtype ?? storedDtype(checkpoint);
  const plan = await planGgufModel(checkpoint, tokenizer, dtypeOf(dtype));
  await naming(out, () => makeFolder(dirname(resolve(out))));
  const progress = output.progress({ label: 'writing', total: plan.tensors.length, unit: 'tensors' });
  await plan.write(out, { signal: commandSignal(), onWritten: (count) => progress.update(count) });
  progress.end();
  const facts = { model: name, format: options.format, out, dtype, tensors: plan.tensors.length, bytes: plan.bytes };
  output.json({ ...facts, sha256: checkpoint.hash, base_precision: checkpoint.quantized?.scheme ?? 'full' });
  if (options.json) return;
  showFacts(output, [
    ['written', out],
    ['model', `${name}, SHA-256 ${checkpoint.hash}`],
    ['tensors', `${facts.tensors}, matrices as ${dtype}, ${facts.bytes} bytes`],
  ]);
}

/** What most of a model's bytes are. */
function storedDtype({ tensors }: Checkpoint): DtypeName {
  const bytes = { float32: 0, float16: 0, bfloat16: 0 };
  for (const tensor of tensors.values())
    bytes[DTYPE_NAMES.find((name) => dtypeOf(name) === tensor.dtype)!] += tensor.bytes;
  return DTYPE_NAMES.reduce((most, name) => (bytes[name] > bytes[most] ? name : most));
}
