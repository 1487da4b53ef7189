/**
 * Makes `dist/`, what the published package runs: the emitted JavaScript of every room beside the files the rooms
 * read at run time (the embedded model and the like). Node runs no TypeScript inside `node_modules`, so it must.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, globSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '..');
const dist = join(root, 'dist');
const ROOMS = ['protocol', 'node', 'aggregator', 'plugin-bridge'];

rmSync(dist, { recursive: true, force: true });
emit();
pointWorkersAtEmittedFiles();
const assets = copyAssets();
console.log(`dist/: ${globSync('**/*.js', { cwd: dist }).length} modules, ${assets} files they read`);

function emit(): void {
  const compiler = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  const outcome = spawnSync(process.execPath, [compiler, '-p', join(root, 'scripts', 'tsconfig.build.json')], {
    stdio: 'inherit',
  });
  if (outcome.status !== 0) process.exit(outcome.status ?? 1);
}

/** The compiler rewrites the `.ts` of imports, but not of `new URL('./worker.ts', import.meta.url)`. */
function pointWorkersAtEmittedFiles(): void {
  for (const file of globSync('**/*.js', { cwd: dist })) {
    const path = join(dist, file);
    const emitted = readFileSync(path, 'utf8');
    const pointed = emitted.replace(/(new URL\(\s*['"]\.{1,2}\/[^'"]+)\.ts(['"],\s*import\.meta\.url)/g, '$1.js$2');
    if (pointed !== emitted) writeFileSync(path, pointed);
  }
}

function copyAssets(): number {
  let copied = 0;
  for (const room of ROOMS) {
    if (!existsSync(join(root, room))) continue;
    for (const entry of globSync(`${room}/**/*`, { cwd: root, withFileTypes: true })) {
      if (!entry.isFile() || entry.name.endsWith('.ts')) continue;
      const from = join(entry.parentPath, entry.name);
      cpSync(from, join(dist, from.slice(root.length)));
      copied++;
    }
  }
  return copied;
}
