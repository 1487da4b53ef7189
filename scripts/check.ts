/**
 * `npm run check`, the one door: types, lint with the import boundaries, house rules, formatting, a whole lock file,
 * documents in step with the code. Runs every step even when one fails, then says which did.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { houseRuleViolations } from './house-rules.ts';

interface Step {
  readonly name: string;
  /** Runs the step, prints what is wrong, answers whether all is well. */
  readonly run: () => boolean;
  readonly fix: string;
}

const root = resolve(import.meta.dirname, '..');

const STEPS: readonly Step[] = [
  { name: 'types', run: () => tool('typescript/bin/tsc', '-p', '.'), fix: 'npx tsc -p .' },
  {
    name: 'lint and import boundaries',
    run: () => tool('oxlint/bin/oxlint', '--type-aware', '--deny-warnings', '.'),
    fix: 'npx oxlint --type-aware --fix .',
  },
  { name: 'house rules', run: checkHouseRules, fix: 'each line above says what to do' },
  {
    name: 'formatting',
    run: () => tool('prettier/bin/prettier.cjs', '--check', '--log-level', 'warn', '.'),
    fix: 'npm run format',
  },
  { name: 'lock file', run: () => node('scripts/lockfile.ts', '--check'), fix: 'node scripts/lockfile.ts' },
  { name: 'documents in step', run: () => node('scripts/docs/generate.ts', '--check'), fix: 'npm run docs' },
];

const failed: Step[] = [];
for (const step of STEPS) {
  const started = performance.now();
  const passed = step.run();
  if (!passed) failed.push(step);
  console.log(`${passed ? 'ok    ' : 'FAILED'} ${step.name} (${((performance.now() - started) / 1000).toFixed(1)} s)`);
}
for (const step of failed) console.log(`fix ${step.name}: ${step.fix}`);
process.exit(failed.length === 0 ? 0 : 1);

function tool(bin: string, ...args: string[]): boolean {
  return node(join('node_modules', bin), ...args);
}

function node(script: string, ...args: string[]): boolean {
  return spawnSync(process.execPath, [script, ...args], { cwd: root, stdio: 'inherit' }).status === 0;
}

function checkHouseRules(): boolean {
  const listed = spawnSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], {
    cwd: root,
    encoding: 'utf8',
  });
  if (listed.status !== 0) {
    console.log('git must list the files of this clone for the house rules to be checked');
    return false;
  }
  const files = new Map<string, string>();
  for (const file of listed.stdout.split('\n').filter(Boolean)) {
    try {
      files.set(file, readFileSync(join(root, file), 'utf8'));
    } catch (error) {
      // Listed by git, but deleted in the working tree.
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
  const violations = houseRuleViolations(files);
  for (const { file, line, message } of violations) console.log(`${file}${line > 0 ? `:${line}` : ''}: ${message}`);
  return violations.length === 0;
}
