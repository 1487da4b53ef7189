/**
 * `prefmesh model pull`: fetches a model from a hub into the data folder.
 */
import { readFile } from 'node:fs/promises';
import { Command } from 'commander';
import { PrefmeshError } from '../../protocol/errors.ts';
import { DEFAULT_ENDPOINT } from '../model/hub/connection.ts';
import { pullModel } from '../model/hub/pull.ts';
import type { HubModel } from '../model/hub/repository.ts';
import { addCommonOptions, addExample, type CommonOptions } from './options.ts';
import { Output } from './output.ts';
import type { Progress } from './progress.ts';
import { commandSignal, noteKept } from './signal.ts';

interface PullCommandOptions extends CommonOptions {
  readonly revision: string;
  readonly endpoint?: string;
  readonly tokenFile?: string;
  readonly verify: boolean;
}

export function pullCommand(): Command {
  const command = new Command('pull')
    .description('Fetch a model from a hub; a pull that was cut goes on where it stopped.')
    .argument('<id>', 'id of the model, such as HuggingFaceTB/SmolLM2-135M')
    .option('--revision <name>', 'branch, tag or commit', 'main')
    .option('--endpoint <url>', `address of the hub ($HF_ENDPOINT, else ${DEFAULT_ENDPOINT})`)
    .option('--token-file <file>', 'file with an access token, for gated and private models ($HF_TOKEN)')
    .option('--verify', 'hash again what is here already, and fetch what differs', false)
    .action(pull);
  return addExample(addCommonOptions(command), 'prefmesh model pull HuggingFaceTB/SmolLM2-135M');
}

async function pull(id: string, options: PullCommandOptions): Promise<void> {
  const output = new Output(options);
  const token = await accessToken(options.tokenFile);
  const endpoint = options.endpoint ?? (process.env.HF_ENDPOINT || DEFAULT_ENDPOINT);
  let progress: Progress | undefined;
  let shownTotal = -1;
  try {
    const pulled = await pullModel(id, {
      home: options.home,
      endpoint,
      ...(token === undefined ? {} : { token }),
      revision: options.revision,
      verify: options.verify,
      signal: commandSignal(),
      onModel: (model) => announce(output, model, endpoint),
      onProgress: (bytes, total) => {
        noteKept(`${mebibytes(bytes)} of ${mebibytes(total)} MiB of ${id}; the same command goes on from there`);
        if (total !== shownTotal) {
          progress?.end();
          progress = output.progress({ label: id, total: mebibytes(total), unit: 'MiB' });
          shownTotal = total;
        }
        progress?.update(mebibytes(bytes));
      },
    });
    progress?.end();
    const { model, folder, bytes, received, sha256, upToDate } = pulled;
    const { revision, commit, gated } = model;
    const licence = model.licence.id;
    output.json({ model: id, revision, commit, licence, gated, folder, bytes, received, sha256, up_to_date: upToDate });
    const state = upToDate ? 'is here and up to date' : `is here, ${mebibytes(received)} MiB fetched`;
    output.human(`${id} ${state}: ${revision} (${commit.slice(0, 12)}), ${mebibytes(bytes)} MiB in ${folder}`);
  } finally {
    progress?.end();
  }
}

/** What is about to be fetched, and under which terms; before the first byte. */
function announce(output: Output, { id, licence, gated }: HubModel, endpoint: string): void {
  const text = licence.link === null ? '' : `, ${licence.link.replace(/[^\x21-\x7e]/g, '')}`;
  output.human(`licence of ${id}: ${licence.id ?? 'not stated'}${text}`);
  if (gated) output.human(`its maker gives it out under terms that you agreed to at ${endpoint}/${id}`);
}

/** @throws USAGE for a file that cannot be read or holds no token; what it holds is not shown */
async function accessToken(file: string | undefined): Promise<string | undefined> {
  const hint = 'put the token alone into the file, as the hub shows it';
  let token = process.env.HF_TOKEN?.trim();
  if (file !== undefined) {
    token = await readFile(file, 'utf8').then(
      (text) => text.trim(),
      (cause: NodeJS.ErrnoException) => {
        throw new PrefmeshError('USAGE', { problem: `--token-file ${file}: ${cause.code}`, hint }, { cause });
      },
    );
  }
  if (token === undefined || (token === '' && file === undefined)) return undefined;
  if (/^[\x21-\x7e]{1,500}$/.test(token)) return token;
  throw new PrefmeshError('USAGE', { problem: `${file ?? 'HF_TOKEN'} holds no access token`, hint });
}

function mebibytes(bytes: number): number {
  return Math.round((bytes / 2 ** 20) * 10) / 10;
}
