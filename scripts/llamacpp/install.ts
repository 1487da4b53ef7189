/**
 * Brings real llama.cpp, which the tests of GGUF export compare with, into a `node_modules` of its own beside this
 * file. It stands apart from the project's packages because npm would install its GPU builds too, 600 MB of them.
 *
 * usage: node scripts/llamacpp/install.ts
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';

const FOLDER = import.meta.dirname;
const ROOT_MODULES = join(FOLDER, '..', '..', 'node_modules');

/** Failures that mean that the registry cannot be reached from here, not that something is wrong. */
const OFFLINE = /\b(ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ENETUNREACH|ETIMEDOUT|ENOTCACHED)\b/;

/**
 * Installs it where it is missing or of another version.
 *
 * @returns why it cannot be had on this machine, or undefined when it is there
 * @throws when npm fails for another reason than an unreachable registry
 */
export function installLlamaCpp(): string | undefined {
  if (process.platform !== 'linux' || process.arch !== 'x64') return 'llama.cpp is pinned for Linux on x64 only';
  const { dependencies } = readJson(join(FOLDER, 'package.json')) as { dependencies: Record<string, string> };
  const isThere = Object.entries(dependencies).every(([name, version]) => {
    const file = join(FOLDER, 'node_modules', name, 'package.json');
    return existsSync(file) && (readJson(file) as { version: string }).version === version;
  });
  if (isThere) return undefined;
  // `npm ci` refuses a lock file without the builds of every platform, all of which are left out here. This takes
  // versions and hashes from the lock file just as well, and `--no-save` leaves the file alone.
  const words = [
    'install',
    '--no-save',
    '--omit=optional',
    '--omit=peer',
    '--ignore-scripts',
    '--no-audit',
    '--no-fund',
  ];
  const path = (process.env.PATH ?? '').split(delimiter).filter((folder) => !folder.startsWith(ROOT_MODULES));
  // Settings that npm hands to the scripts it runs would aim this npm at the project's own folder.
  const settings = Object.entries(process.env).filter(
    ([name]) => !/^npm_(config_(local_)?prefix|package_|lifecycle_)/i.test(name),
  );
  const outcome = spawnSync('npm', words, {
    cwd: FOLDER,
    env: { ...Object.fromEntries(settings), PATH: path.join(delimiter) },
    encoding: 'utf8',
  });
  if (outcome.status === 0) return undefined;
  if (outcome.error !== undefined) return `npm cannot be run: ${outcome.error.message}`;
  if (OFFLINE.test(outcome.stderr)) return 'the npm registry cannot be reached to bring llama.cpp';
  throw new Error(`npm install in ${FOLDER} ended with ${outcome.status ?? outcome.signal}:\n${outcome.stderr}`);
}

function readJson(file: string): unknown {
  return JSON.parse(readFileSync(file, 'utf8'));
}

if (import.meta.main) {
  const missing = installLlamaCpp();
  console.log(missing ?? 'llama.cpp is installed');
  process.exit(missing === undefined ? 0 : 1);
}
