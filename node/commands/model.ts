/**
 * `prefmesh model`: which models are at hand, what one of them is, and how to get or change another (files beside this).
 */
import { readdir } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { Command } from 'commander';
import { EMBEDDED_FOLDER, openCheckpoint, type Checkpoint } from '../model/checkpoint.ts';
import { INCOMING } from '../model/hub/staging.ts';
import { readPullRecord } from '../model/hub/record.ts';
import { fileSize } from '../model/jsonFile.ts';
import { licenceOf } from '../model/licence.ts';
import { traitsOf } from '../model/traits.ts';
import { dataPaths } from '../storage/dataFolder.ts';
import { showFacts } from './facts.ts';
import { modelExportCommand } from './modelExport.ts';
import { openModel } from './modelInput.ts';
import { pullCommand } from './modelPull.ts';
import { modelQuantizeCommand } from './modelQuantize.ts';
import { addCommonOptions, addExample, type CommonOptions } from './options.ts';
import { Output } from './output.ts';

export function modelCommand(): Command {
  const list = new Command('list').description('List the models at hand.').action(listModels);
  addExample(addCommonOptions(list), 'prefmesh model list');
  const inspect = new Command('inspect')
    .description('Show what a model is, and its identity.')
    .argument('<model>', 'a folder, embedded, or the id of a pulled model')
    .action(inspectModel);
  addExample(addCommonOptions(inspect), 'prefmesh model inspect embedded');
  const command = new Command('model').description('Get models, look at them, and take them elsewhere.');
  const further = [pullCommand(), modelQuantizeCommand(), modelExportCommand()];
  for (const each of [list, inspect, ...further]) command.addCommand(each);
  return addExample(command, 'prefmesh model pull HuggingFaceTB/SmolLM2-135M', 'prefmesh model list');
}

async function listModels(options: CommonOptions): Promise<void> {
  const output = new Output(options);
  const rows = [['model', 'family', 'parameters', 'size', 'revision', 'licence', 'SHA-256']];
  for (const id of await modelsAtHand(options.home)) {
    const checkpoint = await openCheckpoint(id, { home: options.home });
    const facts = { ...factsOf(checkpoint), ...(await originOf(checkpoint.folder)) };
    output.json(facts);
    const size = [millions(facts.parameters), megabytes(facts.bytes)];
    const origin = [shownRevision(facts) ?? '', facts.licence ?? 'not stated'];
    rows.push([id, facts.family, ...size, ...origin, facts.sha256.slice(0, 16)]);
  }
  if (!options.json) output.table(rows);
}

async function inspectModel(model: string, options: CommonOptions): Promise<void> {
  const output = new Output(options);
  const { checkpoint, tokenizer, template } = await openModel(model, options.home);
  const facts = {
    ...factsOf(checkpoint),
    ...(await originOf(checkpoint.folder)),
    config: checkpoint.config,
    tokenizer: {
      tokens: tokenizer.vocabSize,
      eos: tokenizer.eosTokenId,
      bos: tokenizer.bosTokenId,
      addsBos: tokenizer.addsBos,
    },
    chatTemplate: template !== null,
  };
  output.json(facts);
  if (options.json) return;
  const { config } = checkpoint;
  showFacts(output, [
    ['model', facts.model],
    ['SHA-256', facts.sha256],
    ['folder', facts.folder],
    ...(facts.commit === null ? [] : [['revision', shownRevision(facts) ?? ''] as const]),
    ['licence', facts.licence ?? 'not stated'],
    ['family', [facts.family, ...traitsOf(config)].join(', ')],
    ['parameters', `${millions(facts.parameters)} in ${facts.tensors} tensors of ${facts.dtypes.join(', ')}`],
    ['size', megabytes(facts.bytes)],
    ['layers', String(config.layers)],
    ['width', `${config.hiddenSize}, feed-forward ${config.intermediateSize}`],
    ['heads', `${config.heads} of width ${config.headDim}, ${config.kvHeads} for keys`],
    ['vocabulary', `${config.vocabSize}, tokenizer ${tokenizer.vocabSize}`],
    ['positions', String(config.maxPositions)],
    ['end token', String(tokenizer.eosTokenId ?? 'none')],
    ['begins with', tokenizer.addsBos ? `token ${tokenizer.bosTokenId}` : 'nothing'],
    ['chat template', template === null ? 'none' : 'yes'],
  ]);
}

/** `embedded` if this package has it, and the ids of the models under the data folder. */
async function modelsAtHand(home: string): Promise<string[]> {
  const ids = (await fileSize(join(EMBEDDED_FOLDER, 'config.json'))) === undefined ? [] : ['embedded'];
  const { models } = dataPaths(home);
  const entries = await readdir(models, { recursive: true, withFileTypes: true }).catch(
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return [];
      throw error;
    },
  );
  const stored = entries
    .filter((entry) => entry.isFile() && entry.name === 'config.json')
    .map((entry) => relative(models, entry.parentPath).split(sep).join('/'))
    .filter((id) => !id.startsWith(`${INCOMING}/`));
  return [...ids, ...stored.sort()];
}

/** Where a model came from, as far as its folder says. */
async function originOf(folder: string) {
  const record = await readPullRecord(folder);
  const { revision = null, commit = null } = record ?? {};
  return { revision, commit, licence: record?.licence.id ?? (await licenceOf(folder)) };
}

/** `main (12-digit commit)`, or undefined for a model that was not pulled. */
function shownRevision({ revision, commit }: { revision: string | null; commit: string | null }): string | undefined {
  if (revision === null || commit === null) return undefined;
  return revision === commit ? commit.slice(0, 12) : `${revision} (${commit.slice(0, 12)})`;
}

function factsOf({ name, folder, hash, config, tensors, quantized }: Checkpoint) {
  const all = [...tensors.values()];
  const packed = [...(quantized?.tensors.values() ?? [])];
  return {
    model: name,
    folder,
    family: config.family,
    parameters: [...all, ...packed].reduce(
      (sum, { shape }) => sum + shape.reduce((product, side) => product * side, 1),
      0,
    ),
    tensors: all.length + packed.length,
    dtypes: [...new Set([...all.map(({ dtype }) => dtype), ...packed.map(({ scheme }) => scheme)])].sort(),
    bytes: all.reduce((sum, { bytes }) => sum + bytes, quantized?.bytes ?? 0),
    sha256: hash,
  };
}

function millions(count: number): string {
  return `${(count / 1e6).toPrecision(3)} M`;
}

function megabytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}
