/**
 * Keeps `package-lock.json` whole. Several packages bring one native build for each platform as optional
 * dependencies; npm drops from the lock file those it could not look up when it wrote it, and `npm ci` of npm 11 then
 * refuses the file. The entries follow from what the package asks for, so they can be put back.
 *
 * usage: node scripts/lockfile.ts [--check]
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { z } from 'zod';

const entrySchema = z.looseObject({
  version: z.string().optional(),
  dev: z.boolean().optional(),
  optional: z.boolean().optional(),
  optionalDependencies: z.record(z.string(), z.string()).optional(),
});
const lockSchema = z.looseObject({ packages: z.record(z.string(), entrySchema) });

export type Lockfile = z.infer<typeof lockSchema>;

const SYSTEMS = ['darwin', 'linux', 'win32', 'android', 'freebsd', 'openharmony'];
const PROCESSORS = ['arm64', 'arm', 'x64', 'ia32', 'ppc64', 'riscv64', 's390x'];

/** The lock file with an entry for every platform build that a package pins to an exact version. */
export function completeLockfile(lock: Lockfile): { lock: Lockfile; added: string[] } {
  const packages = { ...lock.packages };
  const added: string[] = [];
  for (const entry of Object.values(lock.packages)) {
    for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
      const path = `node_modules/${name}`;
      if (packages[path] !== undefined || !/^\d/.test(version)) continue;
      const dev = entry.dev === true ? { dev: true } : {};
      packages[path] = { version, ...platformOf(name), ...dev, optional: true };
      added.push(name);
    }
  }
  const sorted = Object.entries(packages).toSorted(([a], [b]) => a.localeCompare(b, 'en'));
  return { lock: { ...lock, packages: Object.fromEntries(sorted) }, added };
}

/** `binding-linux-arm64-musl` → what npm calls its operating system, processor and C library. */
function platformOf(name: string): { os: string[]; cpu: string[]; libc?: string[] } {
  const words = name.split(/[-/]/);
  const os = words.find((word) => SYSTEMS.includes(word));
  const cpu = words.find((word) => PROCESSORS.includes(word));
  if (os === undefined || cpu === undefined) throw new Error(`${name} does not name its platform`);
  const libc = words.some((word) => word.startsWith('musl'))
    ? ['musl']
    : words.some((word) => word.startsWith('gnu'))
      ? ['glibc']
      : undefined;
  return { os: [os], cpu: [cpu], ...(libc === undefined ? {} : { libc }) };
}

if (import.meta.main) {
  const file = join(resolve(import.meta.dirname, '..'), 'package-lock.json');
  const read: unknown = JSON.parse(readFileSync(file, 'utf8'));
  lockSchema.parse(read);
  // The value as read, not as parsed: parsing reorders keys, and npm's order keeps differences small.
  const { lock, added } = completeLockfile(read as Lockfile);
  if (process.argv.includes('--check')) {
    for (const name of added) console.log(`package-lock.json: no entry for ${name}`);
    process.exit(added.length === 0 ? 0 : 1);
  }
  writeFileSync(file, `${JSON.stringify(lock, null, 2)}\n`);
  console.log(`package-lock.json: ${added.length} entries added`);
}
