/**
 * Where this program itself lies, in a clone and in an installed package alike.
 */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';

const packageSchema = z.object({ name: z.literal('prefmesh'), version: z.string() });

/** The folder of this package's `package.json`. */
export function packageFolder(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json'))) folder = dirname(folder);
  return folder;
}

/** The version in `package.json`. */
export function packageVersion(): string {
  return packageSchema.parse(JSON.parse(readFileSync(join(packageFolder(), 'package.json'), 'utf8'))).version;
}

/**
 * What to spawn for another prefmesh process on the same Node: `spawn(command, [...leadingArguments, 'node', 'start'])`.
 */
export function programCommand(): { command: string; leadingArguments: string[] } {
  return { command: process.execPath, leadingArguments: [join(packageFolder(), 'scripts', 'prefmesh.js')] };
}
