/**
 * `prefmesh model`: which models are at hand, what one of them is, and how to get or change another (files beside this).
 */
import { readdir } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { Command } from 'commander';
import { EMBEDDED_FOLDER, openCheckpoint } from '../model/checkpoint.ts';
import { INCOMING } from '../model/hub/staging.ts';
import { fileSize } from '../model/jsonFile.ts';
import { dataPaths } from '../storage/dataFolder.ts';
import { modelExportCommand } from './modelExport.ts';
import { factsOf, megabytes, millions, originOf, shownRevision } from './modelFacts.ts';
import { modelInspectCommand } from './modelInspect.ts';
import { pullCommand } from './modelPull.ts';
import { modelQuantizeCommand } from './modelQuantize.ts';
import { addCommonOptions, addExample, type CommonOptions } from './options.ts';
import { Output } from './output.ts';

export function modelCommand(): Command {
  const list = new Command('list').description('List the models at hand.').action(listModels);
  addExample(addCommonOptions(list), 'prefmesh model list');
  const command = new Command('model').description('Get models, look at them, and take them elsewhere.');
  const further = [modelInspectCommand(), pullCommand(), modelQuantizeCommand(), modelExportCommand()];
  for (const each of [list, ...further]) command.addCommand(each);
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
