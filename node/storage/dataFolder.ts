/**
 * The data folder (`--home`): where everything of one node lives, and the lock that keeps it to one process.
 *
 * The folder has mode 0700 and the secrets in it 0600. The lock is an exclusive lock of the operating system on the
 * file `lock` (taken through SQLite, which knows how on every platform), so it ends with the process that holds it:
 * a killed node leaves nothing to clean up, and a process id that was given to another program cannot block a start.
 */
import { chmod, readFile, readdir } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { PrefmeshError } from '../../protocol/errors.ts';
import { makeFolder, removeLeftovers, writeFileAtomic } from './atomicFile.ts';

/** Where things are inside a data folder. Pure: nothing is created or checked. */
export interface DataPaths {
  readonly root: string;
  readonly keys: string;
  /** The node's Ed25519 identity. */
  readonly identityKey: string;
  readonly blobs: string;
  readonly cache: string;
  readonly models: string;
  readonly adapters: string;
  readonly database: string;
  readonly lock: string;
  /** Who holds the lock, for the message of whoever finds it taken. */
  readonly lockHolder: string;
}

export function dataPaths(home: string): DataPaths {
  const root = resolve(home);
  return {
    root,
    keys: join(root, 'keys'),
    identityKey: join(root, 'keys', 'identity.json'),
    blobs: join(root, 'blobs'),
    cache: join(root, 'cache'),
    models: join(root, 'models'),
    adapters: join(root, 'adapters'),
    database: join(root, 'state.sqlite'),
    lock: join(root, 'lock'),
    lockHolder: join(root, 'lock.pid'),
  };
}

/** `$PREFMESH_HOME`, else the place where this platform keeps an application's data. */
export function defaultHome(environment: NodeJS.ProcessEnv = process.env, platform = process.platform): string {
  if (environment.PREFMESH_HOME) return environment.PREFMESH_HOME;
  const home = homedir();
  if (platform === 'win32') return join(environment.LOCALAPPDATA ?? join(home, 'AppData', 'Local'), 'prefmesh');
  if (platform === 'darwin') return join(home, 'Library', 'Application Support', 'prefmesh');
  return join(environment.XDG_DATA_HOME ?? join(home, '.local', 'share'), 'prefmesh');
}

/**
 * Creates what is missing of a data folder, with the right permissions, without locking it: enough for commands
 * that only add files which nobody else writes.
 * @throws HOME_UNUSABLE
 */
export async function prepareDataFolder(home: string): Promise<DataPaths> {
  const paths = dataPaths(home);
  try {
    await makeFolder(paths.root, 0o700);
    await chmod(paths.root, 0o700);
    for (const folder of [paths.keys, paths.blobs, paths.cache, paths.models, paths.adapters]) {
      await makeFolder(folder, 0o700);
    }
  } catch (error) {
    const problem = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    throw new PrefmeshError('HOME_UNUSABLE', { folder: paths.root, problem }, { cause: error });
  }
  return paths;
}

/** A data folder that this process holds alone, from `open` to `close`. */
export class DataFolder {
  readonly paths: DataPaths;
  /** Whether the folder held state when it was opened; if so, its key must be there too. */
  readonly hadState: boolean;
  readonly #lock: DatabaseSync;

  private constructor(paths: DataPaths, hadState: boolean, lock: DatabaseSync) {
    this.paths = paths;
    this.hadState = hadState;
    this.#lock = lock;
  }

  /** @throws HOME_UNUSABLE, HOME_LOCKED */
  static async open(home: string): Promise<DataFolder> {
    const paths = await prepareDataFolder(home);
    const lock = await takeLock(paths);
    try {
      await writeFileAtomic(paths.lockHolder, `${process.pid}\n`);
      for (const folder of [paths.root, paths.keys, paths.blobs, paths.adapters]) await removeLeftovers(folder);
      return new DataFolder(paths, await holdsState(paths.root), lock);
    } catch (error) {
      lock.close();
      throw error;
    }
  }

  close(): void {
    if (this.#lock.isOpen) this.#lock.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

async function takeLock(paths: DataPaths): Promise<DatabaseSync> {
  let lock: DatabaseSync;
  try {
    lock = new DatabaseSync(paths.lock, { timeout: 0 });
  } catch (error) {
    throw new PrefmeshError('HOME_UNUSABLE', { folder: paths.root, problem: describe(error) }, { cause: error });
  }
  try {
    lock.exec('BEGIN EXCLUSIVE');
    await chmod(paths.lock, 0o600);
    return lock;
  } catch (error) {
    lock.close();
    if (describe(error).includes('locked')) {
      const pid = (await readFile(paths.lockHolder, 'utf8').catch(() => '')).trim();
      const holder = pid === '' ? 'process unknown' : `process ${pid}`;
      throw new PrefmeshError('HOME_LOCKED', { folder: paths.root, holder }, { cause: error });
    }
    throw new PrefmeshError('HOME_UNUSABLE', { folder: paths.root, problem: describe(error) }, { cause: error });
  }
}

/** Whether there is a database: a participant's, an aggregator's, or that of a role this process does not play. */
async function holdsState(root: string): Promise<boolean> {
  return (await readdir(root)).some((name) => name.endsWith('.sqlite'));
}

function describe(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
