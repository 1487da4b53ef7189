/**
 * Fetches a model from a hub into the data folder.
 *
 * In order: ask what the revision is now; stop if that is here already; fetch the small files and refuse a model that
 * cannot be used; look whether the disk has room; fetch the weights, going on where an earlier attempt stopped; open
 * the whole as any model is opened; rename it into its place. Before that last step nothing of it can be seen.
 */
import { stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { PrefmeshError } from '../../../protocol/errors.ts';
import { LIMITS } from '../../../protocol/limits.ts';
import { prepareDataFolder } from '../../storage/dataFolder.ts';
import { openCheckpoint } from '../checkpoint.ts';
import { parseModelConfig } from '../config.ts';
import { readJsonFile } from '../jsonFile.ts';
import { HubConnection, type HubConnectionOptions } from './connection.ts';
import { isUntouched, readPullRecord, writePullRecord, type PullRecord } from './record.ts';
import { askForModel, type HubFile, type HubModel } from './repository.ts';
import { SHARD_INDEX, selectFiles, selectShards } from './selection.ts';
import { Staging } from './staging.ts';
import { hasContent, transferFile } from './transfer.ts';

export interface PullOptions extends HubConnectionOptions {
  /** The data folder. */
  readonly home: string;
  /** Branch, tag or commit; the main branch when absent. */
  readonly revision?: string;
  /** Whether to hash a model again that seems to be here untouched. */
  readonly verify?: boolean;
  /** Told once what is about to be fetched. */
  readonly onModel?: (model: HubModel) => void;
  /** Told how many of the model's bytes are here; `total` is final once the small files are. */
  readonly onProgress?: (bytes: number, total: number) => void;
}

export interface PulledModel {
  readonly model: HubModel;
  readonly folder: string;
  /** Size of its files. */
  readonly bytes: number;
  /** Bytes that came over the network this time. */
  readonly received: number;
  /** SHA-256 of the checkpoint, lower-case hex. */
  readonly sha256: string;
  /** Whether nothing had to be done. */
  readonly upToDate: boolean;
}

/**
 * @throws USAGE, HUB_UNREACHABLE, HUB_BUSY, HUB_MODEL_MISSING, HUB_REVISION_MISSING, HUB_GATED, HUB_TOKEN_REFUSED,
 * HUB_REFUSED, HUB_ANSWER_UNUSABLE, HUB_FILES_UNFIT, HUB_FILE_MISSING, HUB_FILE_MISMATCH, PULL_LOCKED, DISK_FULL,
 * STORAGE_FAILED, and the errors of `openCheckpoint`
 */
export async function pullModel(id: string, options: PullOptions): Promise<PulledModel> {
  const hub = new HubConnection(options);
  const paths = await prepareDataFolder(options.home);
  const model = await askForModel(hub, id, options.revision ?? 'main');
  const { texts, single } = selectFiles(model);
  for (const text of texts) refuseHugeText(model, text);

  await using staging = await Staging.open(paths, id);
  const record = await readPullRecord(staging.target);
  if (record === null) await refuseForeignFolder(staging.target, model);
  if (record !== null && !options.verify && (await isCurrent(staging.target, record, model))) {
    if (record.revision !== model.revision)
      await writePullRecord(staging.target, { ...record, revision: model.revision });
    const { hash } = await openCheckpoint(id, { home: options.home });
    return { model, folder: staging.target, bytes: sumOf(record.files), received: 0, sha256: hash, upToDate: true };
  }

  options.onModel?.(model);
  const fetching = new Fetching(hub, model, staging, options.onProgress ?? (() => {}));
  await fetching.fetch(single === null ? texts : [...texts, single], texts);
  const config = join(`${hub.endpoint}/${id}`, 'config.json');
  parseModelConfig(await readStagedJson(staging, texts, 'config.json', config), config);
  const weights =
    single === null ? selectShards(model, await readStagedJson(staging, texts, SHARD_INDEX, SHARD_INDEX)) : [single];
  const files = [...texts, ...weights];
  await fetching.fetch(files, weights);

  const whole = await staging.assemble(files);
  const { hash } = await openCheckpoint(whole);
  await writePullRecord(whole, await recordOf(hub, model, whole, files));
  await staging.place(whole);
  const upToDate = fetching.received === 0 && record?.commit === model.commit;
  return { model, folder: staging.target, bytes: sumOf(files), received: fetching.received, sha256: hash, upToDate };
}

/** What is fetched so far, and how far along that is. */
class Fetching {
  /** Bytes that came over the network. */
  received = 0;
  readonly #hub: HubConnection;
  readonly #model: HubModel;
  readonly #staging: Staging;
  readonly #onProgress: (bytes: number, total: number) => void;
  readonly #lengths = new Map<string, number>();

  constructor(hub: HubConnection, model: HubModel, staging: Staging, onProgress: (b: number, t: number) => void) {
    this.#hub = hub;
    this.#model = model;
    this.#staging = staging;
    this.#onProgress = onProgress;
  }

  /** Fetches `some` of the files `all` that are known to be needed. @throws DISK_FULL before the first byte */
  async fetch(all: readonly HubFile[], some: readonly HubFile[]): Promise<void> {
    const total = sumOf(all);
    let missing = 0;
    for (const file of all) {
      const length = await this.#staging.lengthOf(file);
      this.#lengths.set(file.name, length);
      if (!(await hasSize(join(this.#staging.target, file.name), file))) missing += file.size - length;
    }
    await refuseWithoutRoom(this.#staging, missing);
    for (const file of some) {
      const progress = (length: number) => {
        this.#lengths.set(file.name, length);
        this.#onProgress(
          [...this.#lengths.values()].reduce((sum, bytes) => sum + bytes, 0),
          total,
        );
      };
      const here = join(this.#staging.target, file.name);
      if ((await hasSize(here, file)) && (await hasContent(here, file, this.#hub.signal))) {
        await this.#staging.adopt(file, here);
        progress(file.size);
        continue;
      }
      const part = this.#staging.partOf(file);
      this.received += await transferFile(this.#hub, this.#model, file, part, { onLength: progress });
    }
  }
}

async function hasSize(path: string, { size }: HubFile): Promise<boolean> {
  return stat(path).then(
    (status) => status.isFile() && status.size === size,
    () => false,
  );
}

/** Whether the folder holds this commit as it was verified. */
async function isCurrent(folder: string, record: PullRecord, { commit }: HubModel): Promise<boolean> {
  if (record.commit !== commit) return false;
  for (const file of record.files) if (!(await isUntouched(folder, file))) return false;
  return true;
}

/** A folder that was not pulled may hold the only copy of something; it is never replaced. */
async function refuseForeignFolder(folder: string, { id }: HubModel): Promise<void> {
  const there = await stat(folder).catch(() => undefined);
  if (there === undefined) return;
  const problem = `${folder} is there and was not pulled`;
  throw new PrefmeshError('USAGE', { problem, hint: `move it away, then pull ${id} again` });
}

function refuseHugeText({ id }: HubModel, { name, size }: HubFile): void {
  const limit = LIMITS.modelTextFile.value;
  if (size <= limit) return;
  const problem = `its ${name} has ${size} bytes, at most ${limit} are read`;
  throw new PrefmeshError('HUB_FILES_UNFIT', { model: id, problem });
}

async function refuseWithoutRoom({ models, target }: Staging, missing: number): Promise<void> {
  const { bavail, bsize } = await statfs(models);
  const free = bavail * bsize;
  if (missing + LIMITS.pullSpare.value <= free || missing === 0) return;
  const mib = (bytes: number) => `${(bytes / 2 ** 20).toFixed(0)} MiB`;
  throw new PrefmeshError('DISK_FULL', { file: target, problem: `${mib(missing)} to fetch, ${mib(free)} free` });
}

async function readStagedJson(
  staging: Staging,
  files: readonly HubFile[],
  name: string,
  shown: string,
): Promise<unknown> {
  const file = files.find((one) => one.name === name)!;
  const read = await readJsonFile(staging.partOf(file), (problem, cause) => {
    return new PrefmeshError('MODEL_CONFIG_INVALID', { file: shown, field: '(root)', problem }, { cause });
  });
  return read.found ? read.json : undefined;
}

async function recordOf(
  hub: HubConnection,
  model: HubModel,
  folder: string,
  files: readonly HubFile[],
): Promise<PullRecord> {
  const recorded = [];
  for (const { name, size, hash } of files) {
    const { mtimeNs } = await stat(join(folder, name), { bigint: true });
    recorded.push({ name, size, hash, modified: String(mtimeNs) });
  }
  const { id, revision, commit, licence, gated } = model;
  return { format: 1, model: id, endpoint: hub.endpoint, revision, commit, licence, gated, files: recorded };
}

function sumOf(files: readonly { readonly size: number }[]): number {
  return files.reduce((sum, { size }) => sum + size, 0);
}
