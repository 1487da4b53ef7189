/**
 * `npm run docs`: writes the reference pages that follow from tables and definitions in the code. With `--check` it writes nothing and
 * fails when a page and its table disagree.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { relative, resolve } from 'node:path';
import { format, resolveConfig } from 'prettier';
import { cliPage } from './cliPage.ts';
import { errorsPage } from './errorsPage.ts';
import { limitsPage } from './limitsPage.ts';

const root = resolve(import.meta.dirname, '../..');

const PAGES: Readonly<Record<string, () => string | Promise<string>>> = {
  'docs/reference/cli.md': cliPage,
  'docs/reference/errors.md': errorsPage,
  'docs/reference/limits.md': limitsPage,
};

const check = process.argv.includes('--check');
let stale = 0;
for (const [page, generate] of Object.entries(PAGES)) {
  const file = resolve(root, page);
  const text = await format(await generate(), { ...(await resolveConfig(file)), parser: 'markdown' });
  if (!check) await writeFile(file, text);
  else if ((await readFile(file, 'utf8').catch(() => '')) !== text) {
    stale += 1;
    console.log(`${relative(root, file)} is not what the code says`);
  }
}
process.exitCode = stale > 0 ? 1 : 0;
