// Runs one of this repository's scripts on the Node that package.json pins, after bringing node_modules in step with
// package-lock.json. Plain JavaScript, so that any Node from 20 on can start it; nothing is installed globally.
//
// usage: node scripts/run.mjs <target> [arguments for it]
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { constants } from 'node:os';
import { delimiter, join, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '..');
const modules = join(root, 'node_modules');
const pinnedNode = join(modules, 'node', 'bin', process.platform === 'win32' ? 'node.exe' : 'node');

/** What each target runs, relative to the repository. */
const TARGETS = {
  demo: ['scripts/prefmesh.js', 'demo'],
  test: ['node_modules/mocha/bin/mocha.js'],
  check: ['scripts/check.ts'],
  study: ['scripts/study/main.ts'],
  torture: ['scripts/torture/main.ts'],
  fuzz: ['scripts/fuzz.ts'],
  // further arguments win over these
  seeds: ['scripts/prefmesh.js', ...'simulate --fuzz --rounds 1 --seeds 10000 --jobs 2'.split(' ')],
  bench: ['scripts/bench/main.ts'],
  // `bench --base …`: of bases in 4 bits
  benchBase: ['scripts/bench/fourBitBase.ts'],
  robustness: ['scripts/robustness/main.ts'],
  build: ['scripts/build.ts'],
  pairs: ['scripts/make-taste-pairs.ts'],
  docs: ['scripts/docs/generate.ts'],
  format: ['node_modules/prettier/bin/prettier.cjs', '--write', '.'],
};

/** Options of mocha whose value is the next word, which therefore is no path. */
const MOCHA_OPTIONS_WITH_VALUE = new Set(
  ['grep', 'fgrep', 'timeout', 'slow', 'reporter', 'retries', 'jobs', 'require', 'ignore', 'exclude', 'reporter-option']
    .map((option) => `--${option}`)
    .concat(['-g', '-f', '-t', '-s', '-R', '-j', '-r', '-O']),
);

const [name, ...rest] = process.argv.slice(2);
const asked = name === 'bench' && rest.some((word) => /^--base(=|$)/.test(word)) ? 'benchBase' : (name ?? '');
const target = Object.hasOwn(TARGETS, asked) ? TARGETS[asked] : undefined;
if (target === undefined) {
  fail('USAGE', `no target ${name ?? 'given'}`, `use one of ${Object.keys(TARGETS).join(', ')}`, 2);
}
const reason = reasonToInstall();
if (reason !== undefined) install(reason);
runOnPinnedNode([...target, ...(name === 'test' ? testArguments(rest) : rest)]);

/**
 * What mocha is given for the words after `npm test --`: files and globs as they are, folders as all tests in them, and
 * every test where no path is named. mocha adds files named in its configuration to those asked for, and passes over
 * paths that do not exist, so both are seen to here.
 */
function testArguments(words) {
  const takesValue = (word) => word !== undefined && MOCHA_OPTIONS_WITH_VALUE.has(word);
  const isPath = (word, index) => !word.startsWith('-') && !takesValue(words[index - 1]);
  const given = words.map((word, index) => {
    if (!isPath(word, index) || /[*?[{]/.test(word)) return word;
    const entry = statSync(resolve(root, word), { throwIfNoEntry: false });
    if (entry === undefined) fail('USAGE', `there is no ${word}`, 'name a test file or a folder under test/', 2);
    if (entry.isDirectory()) return `${word.replace(/[/\\]+$/, '')}/**/*.test.ts`;
    if (!word.endsWith('.test.ts')) fail('USAGE', `${word} is no test`, 'name a file that ends in .test.ts', 2);
    return word;
  });
  return words.some(isPath) ? given : [...given, 'test/**/*.test.ts'];
}

/** Why node_modules is not what package-lock.json says, or undefined when it is. */
function reasonToInstall() {
  const installedFile = join(modules, '.package-lock.json');
  if (!existsSync(installedFile)) return 'nothing is installed yet';
  if (!existsSync(pinnedNode)) return 'the pinned Node is missing';
  const installed = JSON.parse(readFileSync(installedFile, 'utf8')).packages;
  const locked = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')).packages;
  for (const [path, entry] of Object.entries(locked)) {
    if (path === '') continue;
    const found = installed[path];
    if (found === undefined && entry.optional) continue;
    if (found?.version !== entry.version) return `${path} is not at ${entry.version}`;
    if (!entry.optional && !existsSync(join(root, path))) return `${path} is missing`;
  }
  return undefined;
}

function install(why) {
  process.stderr.write(`prefmesh: installing dependencies, because ${why}\n`);
  // npm removes node_modules first, so neither npm nor the install scripts may run on a Node inside it.
  const path = (process.env.PATH ?? '').split(delimiter).filter((folder) => !resolve(folder).startsWith(modules));
  const environment = {
    ...process.env,
    PATH: path.join(delimiter),
    // The CUDA libraries come from outside the registry; docs/how-to/use-a-gpu.md says how to opt in.
    ONNXRUNTIME_NODE_INSTALL: 'skip',
    ONNXRUNTIME_NODE_INSTALL_CUDA: 'skip',
  };
  delete environment.NODE_ENV;
  const outcome = spawnSync('npm', ['ci', '--include=dev', '--no-audit', '--no-fund'], {
    cwd: root,
    env: environment,
    stdio: ['ignore', 2, 2],
    shell: process.platform === 'win32',
  });
  if (outcome.status !== 0) {
    const problem = outcome.error?.message ?? `npm ci ended with ${outcome.status ?? outcome.signal}`;
    fail('INSTALL_FAILED', problem, 'read the lines above; the npm registry must be reachable', 4);
  }
  if (!existsSync(pinnedNode)) {
    const fix = 'allow its install script (npm config get ignore-scripts must be false) and run again';
    fail('INSTALL_FAILED', 'npm ci did not bring the pinned Node', fix, 4);
  }
}

function runOnPinnedNode([script, ...args]) {
  if (!existsSync(join(root, script))) fail('USAGE', `${script} does not exist`, 'check out the whole repository', 2);
  const path = [join(modules, '.bin'), process.env.PATH].join(delimiter);
  const child = spawn(pinnedNode, [join(root, script), ...args], {
    cwd: root,
    env: { ...process.env, PATH: path },
    stdio: 'inherit',
  });
  process.on('SIGINT', () => {}); // the terminal sends it to the child too, which decides when to end
  for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.on('exit', (code, signal) => process.exit(signal === null ? code : 128 + constants.signals[signal]));
}

function fail(code, what, fix, exitCode) {
  process.stderr.write(`error ${code}: ${what}\nfix: ${fix}\n`);
  process.exit(exitCode);
}
