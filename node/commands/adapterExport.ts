/**
 * `prefmesh adapter export`: an adapter in the form that another program loads.
 */
import { copyFile, realpath, stat } from 'node:fs/promises';
import { dirname, join, relative, resolve } from 'node:path';
import { Command, Option } from 'commander';
import { PrefmeshError } from '../../protocol/errors.ts';
import { chatTemplateSource } from '../export/chatTemplateSource.ts';
import { writeGgufAdapter } from '../export/ggufAdapter.ts';
import { writeMlxAdapter } from '../export/mlxAdapter.ts';
import { modelfile } from '../export/ollama.ts';
import { fileSize } from '../model/jsonFile.ts';
import { DTYPE_NAMES, dtypeOf, type DtypeName } from '../model/tensorBytes.ts';
import { makeFolder, naming, writeFileAtomic } from '../storage/atomicFile.ts';
import type { Adapter } from '../training/adapter.ts';
import { writePeftAdapter } from '../training/peft.ts';
import { showFacts } from './facts.ts';
import { openAdapter, openModel, type ModelInput } from './modelInput.ts';
import { addCommonOptions, addExample, type CommonOptions } from './options.ts';
import { Output } from './output.ts';
import { commandSignal } from './signal.ts';

const FORMATS = ['peft', 'gguf', 'mlx'] as const;

interface ExportOptions extends CommonOptions {
  readonly model: string;
  readonly format: (typeof FORMATS)[number];
  readonly out: string;
  readonly dtype: DtypeName;
  readonly ollama?: string;
}

export function adapterExportCommand(): Command {
  const command = new Command('export')
    .description('Write an adapter as another program loads it: PEFT and vLLM, llama.cpp and Ollama, or MLX.')
    .argument('<folder>', 'PEFT folder')
    .requiredOption('--model <model>', 'the model it was trained on')
    .addOption(
      new Option('--format <format>', 'peft: a folder; gguf: a file; mlx: a folder')
        .choices(FORMATS)
        .makeOptionMandatory(),
    )
    .requiredOption('--out <path>', 'the folder or file to write')
    .addOption(new Option('--dtype <dtype>', 'how numbers are stored').choices(DTYPE_NAMES).default('float32'))
    .option('--ollama <base>', 'with gguf: write a Modelfile beside it, on this GGUF file or Ollama model')
    .action(exportAdapter);
  return addExample(
    addCommonOptions(command),
    'prefmesh adapter export adapter --model embedded --format gguf --out adapter.gguf',
  );
}

async function exportAdapter(folder: string, options: ExportOptions): Promise<void> {
  const output = new Output(options);
  const { format, out, ollama } = options;
  if (ollama !== undefined && format !== 'gguf') {
    throw new PrefmeshError('USAGE', { problem: '--ollama needs --format gguf', hint: 'Ollama loads GGUF files' });
  }
  if (format === 'mlx' && (await isSamePlace(folder, out))) {
    throw new PrefmeshError('USAGE', {
      problem: `--out is the PEFT folder itself, whose adapter_config.json MLX's would replace`,
      hint: 'name another folder with --out',
    });
  }
  const model = await openModel(options.model, options.home);
  const adapter = await openAdapter(folder, model.checkpoint, output);
  const dtype = dtypeOf(options.dtype);
  const { config, name: baseModel } = model.checkpoint;
  switch (format) {
    case 'peft':
      await writePeftAdapter(out, adapter, { baseModel, dtype });
      await keepModelCard(folder, out);
      break;
    case 'gguf':
      await naming(out, () => makeFolder(dirname(resolve(out))));
      await writeGgufAdapter(out, adapter, config, { dtype, baseModel, signal: commandSignal() });
      break;
    case 'mlx':
      await writeMlxAdapter(out, adapter, config, { dtype, baseModel });
      break;
  }
  const modelfilePath = ollama === undefined ? undefined : await writeModelfile(out, ollama, model);
  report(output, folder, adapter, options, modelfilePath);
}

/** The card says how the adapter was trained, which an export does not change. */
async function keepModelCard(from: string, to: string): Promise<void> {
  const card = join(from, 'README.md');
  if ((await fileSize(card)) === undefined || (await isSamePlace(from, to))) return;
  await naming(to, () => copyFile(card, join(to, 'README.md')));
}

/** Writes `Modelfile` beside the adapter; paths in it are relative to it where they name files. */
async function writeModelfile(adapterFile: string, base: string, { checkpoint, tokenizer }: ModelInput) {
  const folder = dirname(resolve(adapterFile));
  const file = join(folder, 'Modelfile');
  const text = (id: number | null) => (id === null ? '' : tokenizer.decode([id], { skipSpecialTokens: false }));
  const isFile = (await fileSize(base)) !== undefined;
  const content = modelfile({
    base: isFile ? besides(folder, base) : base,
    adapter: besides(folder, adapterFile),
    template: await chatTemplateSource(checkpoint.folder),
    specialTokens: { bos: text(tokenizer.bosTokenId), eos: text(tokenizer.eosTokenId) },
  });
  await writeFileAtomic(file, content, { mode: 0o644 });
  return file;
}

/** A path as Ollama needs it to know a file from a model's name: with a leading dot. */
function besides(folder: string, file: string): string {
  const path = relative(folder, resolve(file));
  return path.startsWith('.') ? path : `./${path}`;
}

async function isSamePlace(a: string, b: string): Promise<boolean> {
  if ((await stat(b).catch(() => undefined)) === undefined) return false;
  return (await realpath(a).catch(() => a)) === (await realpath(b));
}

function report(
  output: Output,
  folder: string,
  { rank, table, vector, baseHash }: Adapter,
  { format, out, dtype, model, json }: ExportOptions,
  modelfilePath: string | undefined,
): void {
  output.json({
    adapter: folder,
    model,
    format,
    out,
    dtype,
    rank,
    tensors: table.length,
    parameters: vector.length,
    base_sha256: baseHash,
    ...(modelfilePath === undefined ? {} : { modelfile: modelfilePath }),
  });
  if (json) return;
  showFacts(output, [
    ['written', `${out} (${format}, ${dtype})`],
    ['rank', `${rank}, scale folded in, so alpha is ${rank} too`],
    ['tensors', `${table.length}, ${vector.length} parameters`],
    ...(modelfilePath === undefined ? [] : [['Modelfile', modelfilePath] as const]),
  ]);
}
