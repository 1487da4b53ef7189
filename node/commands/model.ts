/**
 * `prefmesh model list|inspect`: which models are at hand, and what one of them is.
 */
import { readdir } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { Command } from 'commander';
import { EMBEDDED_FOLDER, openCheckpoint, type Checkpoint } from '../model/checkpoint.ts';
import { fileSize } from '../model/jsonFile.ts';
import { traitsOf } from '../model/traits.ts';
import { dataPaths } from '../storage/dataFolder.ts';
import { showFacts } from './facts.ts';
import { openModel } from './modelInput.ts';
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
  const command = new Command('model').description('Look at models.').addCommand(list).addCommand(inspect);
  return addExample(command, 'prefmesh model list');
}

async function listModels(options: CommonOptions): Promise<void> {
  const output = new Output(options);
  const rows = [['model', 'family', 'parameters', 'size', 'SHA-256']];
  for (const id of await modelsAtHand(options.home)) {
    const checkpoint = await openCheckpoint(id, { home: options.home });
    const facts = factsOf(checkpoint);
    output.json(facts);
    rows.push([id, facts.family, millions(facts.parameters), megabytes(facts.bytes), facts.sha256.slice(0, 16)]);
  }
  if (!options.json) output.table(rows);
}

async function inspectModel(model: string, options: CommonOptions): Promise<void> {
  const output = new Output(options);
  const { checkpoint, tokenizer, template } = await openModel(model, options.home);
  const facts = {
    ...factsOf(checkpoint),
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
    .map((entry) => relative(models, entry.parentPath).split(sep).join('/'));
  return [...ids, ...stored.sort()];
}

function factsOf({ name, folder, hash, config, tensors }: Checkpoint) {
  const all = [...tensors.values()];
  return {
    model: name,
    folder,
    family: config.family,
    parameters: all.reduce((sum, { shape }) => sum + shape.reduce((product, side) => product * side, 1), 0),
    tensors: all.length,
    dtypes: [...new Set(all.map(({ dtype }) => dtype))].sort(),
    bytes: all.reduce((sum, { bytes }) => sum + bytes, 0),
    sha256: hash,
  };
}

function millions(count: number): string {
  return `${(count / 1e6).toPrecision(3)} M`;
}

function megabytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}
