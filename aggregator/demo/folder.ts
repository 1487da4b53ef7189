/**
 * The demo's output folder: made anew, and never over anything that no demo wrote.
 */
import { existsSync } from 'node:fs';
import { cp, mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { PrefmeshError } from '../../protocol/errors.ts';
import type { TastePair } from '../../node/preferences/tastes/tastePairs.ts';
import type { DemoFiles } from './federationRun.ts';
import type { DemoData } from './plan.ts';

/** Tells a folder that a demo made from one that it must leave alone. */
const MARKER = '.prefmesh-demo';

/** An empty folder at the path. Throws DEMO_FOLDER_IN_USE when it holds files that no demo wrote. */
export async function prepareFolder(path: string): Promise<string> {
  const folder = resolve(path);
  if (existsSync(folder) && (await readdir(folder)).length > 0) {
    if (!existsSync(join(folder, MARKER))) throw new PrefmeshError('DEMO_FOLDER_IN_USE', { folder });
    await rm(folder, { recursive: true });
  }
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, MARKER), 'Made by prefmesh demo, which replaces this folder when it runs again.\n');
  return folder;
}

/** Writes the sets as JSONL files. */
export async function writeDemoData(folder: string, data: DemoData): Promise<DemoFiles> {
  const write = async (name: string, pairs: readonly TastePair[]) => {
    const file = join(folder, name);
    await writeFile(file, pairs.map((pair) => `${JSON.stringify(pair)}\n`).join(''));
    return file;
  };
  return {
    folder,
    evaluation: await write('evaluation.jsonl', data.evaluation),
    root: await write('root.jsonl', data.root),
    pairs: await Promise.all(data.participants.map((pairs, index) => write(`pairs-${index + 1}.jsonl`, pairs))),
  };
}

/** Copies the adapter that the participants verified to where a person finds it. */
export async function copyAdapter(folder: string, adapter: string): Promise<string> {
  const target = join(folder, 'adapter');
  await cp(adapter, target, { recursive: true });
  return target;
}
