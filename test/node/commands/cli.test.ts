import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { commandTree } from '../../../prefmesh.ts';
import { packageFolder, packageVersion, programCommand } from '../../../node/commands/program.ts';

interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the real program in a child process. */
function prefmesh(...args: string[]): Outcome {
  const { command, leadingArguments } = programCommand();
  const outcome = spawnSync(command, [...leadingArguments, ...args], { encoding: 'utf8' });
  return { code: outcome.status, stdout: outcome.stdout, stderr: outcome.stderr };
}

/** The two lines every failure prints, as `CODE` and the rest. */
function failureOf(outcome: Outcome): { code: string; what: string; fix: string } {
  const match = /^error (\w+): (.+)\nfix: (.+)\n$/.exec(outcome.stderr);
  assert.ok(match, `stderr is not two lines of error and fix:\n${outcome.stderr}`);
  return { code: match[1] ?? '', what: match[2] ?? '', fix: match[3] ?? '' };
}

/** Names of the commands that a help text lists. */
function listedCommands(help: string): string[] {
  const [, list = ''] = help.split(/^Commands:\n/m);
  return [...(list.split(/\n\n/)[0] ?? '').matchAll(/^ {2}([a-z-]+)/gm)]
    .map((match) => match[1] ?? '')
    .filter((name) => name !== 'help');
}

/** What users and scripts rely on: commands, and the options of each. */
const CONTRACT: Readonly<Record<string, string>> = {
  demo: 'participants rounds out',
  score: 'model adapter pairs',
  train:
    'model pairs out init-adapter reference-adapter rank alpha targets factor loss beta learning-rate schedule warmup ' +
    'max-grad-norm weight-decay batch-size accumulate epochs steps max-length shuffle eval-pairs early-stop resume ' +
    'checkpoint-every',
  evaluate: 'model adapter pairs prompts judge baseline',
  generate: 'model adapter prompt max-tokens temperature top-p',
  aggregate: 'rule adapter base-adapter factor byzantine weights fixed-point-scale out',
  'model list': '',
  'model inspect': '',
  'model pull': '',
  'adapter inspect': '',
  'adapter export': '',
  'adapter verify': '',
  'federation create': '',
  'federation show': '',
  'federation invite': '',
  'aggregator start': '',
  'node start': '',
  'node join': '',
  'node status': '',
  'node pause': '',
  'node leave': '',
  doctor: '',
  simulate: 'participants rounds seed dropout loss partition attack attackers rule seeds',
  verify: 'blobs',
};
const COMMON = ['home', 'device', 'threads', 'json', 'log-level', 'seed', 'config'];

describe('the command line', function () {
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'prefmesh-cli-'));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  it('prints its version', () => {
    assert.equal(prefmesh('--version').stdout.trim(), packageVersion());
  });

  it('answers --help at every level, on stdout, with exit code 0', () => {
    for (const path of [[], ['federation'], ['federation', 'create'], ['score']]) {
      const { code, stdout, stderr } = prefmesh(...path, '--help');
      const name = ['prefmesh', ...path].join(' ');
      assert.equal(code, 0, name);
      assert.equal(stderr, '', name);
      assert.ok(stdout.startsWith(`Usage: ${name} `), `${name}: ${stdout.split('\n')[0]}`);
      assert.match(stdout, /\nExample:\n {2}prefmesh /, name);
    }
  });

  it('shows an example in the help of every command', async () => {
    const commands = [await commandTree()];
    for (const command of commands) {
      let help = '';
      command.configureOutput({ writeOut: (text) => (help += text) }).outputHelp();
      assert.match(help, /\nExample:\n {2}prefmesh /, `${command.name()} --help shows no example`);
      commands.push(...command.commands);
    }
    assert.ok(commands.length > 15, `only ${commands.length} commands found`);
  });

  it('lists every command of its contract', () => {
    const expected = new Set(Object.keys(CONTRACT).map((path) => path.split(' ')[0]!));
    const listed = listedCommands(prefmesh('--help').stdout);
    for (const name of expected) assert.ok(listed.includes(name), `${name} is not listed`);
  });

  it('has every option of its contract, and the common ones in every command', async () => {
    const root = await commandTree();
    for (const [path, own] of Object.entries(CONTRACT)) {
      let command = root;
      for (const name of path.split(' ')) {
        const child = command.commands.find((each) => each.name() === name);
        assert.ok(child !== undefined, `there is no ${path}`);
        command = child;
      }
      const options = command.options.map(({ long }) => long);
      for (const name of [...COMMON, ...own.split(' ').filter((each) => each !== '')])
        assert.ok(options.includes(`--${name}`), `${path} has no --${name}`);
    }
  });

  it('shows the help on stderr and ends with 2 when no command is given', () => {
    const { code, stdout, stderr } = prefmesh();
    assert.equal(code, 2);
    assert.equal(stdout, '');
    assert.match(stderr, /^Usage: prefmesh /);
    assert.match(stderr, /error USAGE: prefmesh needs a command\nfix: .+\n$/);
  });

  it('refuses an unknown command with USAGE and exit code 2', () => {
    for (const args of [['frobnicate'], ['federation', 'frobnicate']]) {
      const outcome = prefmesh(...args);
      assert.equal(outcome.code, 2);
      assert.equal(outcome.stdout, '');
      const failure = failureOf(outcome);
      assert.equal(failure.code, 'USAGE');
      assert.match(failure.what, /unknown command 'frobnicate'/);
      assert.match(failure.fix, /--help/);
    }
  });

  it('refuses an unknown option, a missing one and a wrong value with USAGE and exit code 2', () => {
    const cases: [string[], RegExp][] = [
      [['score', '--model', 'embedded', '--pairs', 'x', '--frobnicate'], /unknown option '--frobnicate'/],
      [['score', '--model', 'embedded'], /--pairs/],
      [['score', '--model', 'embedded', '--pairs', 'x', '--threads', 'many'], /whole number/],
      [['score', '--model', 'embedded', '--pairs', 'x', '--device', 'abacus'], /auto, cpu, webgpu/],
      [['score', '--model', 'embedded', '--pairs', 'x', 'extra'], /too many arguments/],
    ];
    for (const [args, problem] of cases) {
      const outcome = prefmesh(...args);
      assert.equal(outcome.code, 2, args.join(' '));
      const failure = failureOf(outcome);
      assert.equal(failure.code, 'USAGE');
      assert.match(failure.what, problem);
    }
  });

  it('refuses a configuration file with an unknown key, naming the file, the key and what is allowed', () => {
    const config = join(folder, 'unknown-key.json');
    writeFileSync(config, JSON.stringify({ model: 'embedded', learningrate: 0.1 }));
    const outcome = prefmesh('train', '--config', config);
    assert.equal(outcome.code, 2);
    const failure = failureOf(outcome);
    assert.equal(failure.code, 'CONFIG_KEY');
    assert.equal(failure.what, `${config}: unknown key learningrate for the command train`);
    assert.match(failure.fix, /learning-rate/);
  });

  it('refuses a configuration file that is missing or is not an object of plain values', () => {
    const nested = join(folder, 'nested.json');
    writeFileSync(nested, JSON.stringify({ model: { name: 'embedded' } }));
    const broken = join(folder, 'broken.json');
    writeFileSync(broken, '{');
    for (const file of [join(folder, 'missing.json'), nested, broken]) {
      const outcome = prefmesh('score', '--config', file);
      assert.equal(outcome.code, 2, file);
      assert.equal(failureOf(outcome).code, 'CONFIG_FILE');
    }
  });

  it('takes required options from a configuration file, and the same checks apply to them', () => {
    const config = join(folder, 'threads.json');
    writeFileSync(config, JSON.stringify({ model: 'embedded', pairs: 'nowhere.jsonl', threads: 0 }));
    const failure = failureOf(prefmesh('score', '--config', config));
    assert.equal(failure.code, 'USAGE');
    assert.match(failure.what, /'0' is invalid/);
  });

  it('lets a flag on the command line win over the configuration file', () => {
    const config = join(folder, 'won.json');
    writeFileSync(config, JSON.stringify({ model: 'embedded', pairs: 'from-the-file.jsonl' }));
    const missing = join(folder, 'from-the-flag.jsonl');
    const outcome = prefmesh('score', '--config', config, '--pairs', missing);
    const failure = failureOf(outcome);
    assert.equal(failure.code, 'FILE_MISSING');
    assert.match(failure.what, /from-the-flag\.jsonl/);
  });

  it('ends with 130 when interrupted, and says what was kept', async () => {
    const pairs = join(folder, 'pairs.jsonl');
    const pair = { prompt: 'How do I name a note?', chosen: 'Use its one idea.', rejected: 'Names do not matter.' };
    writeFileSync(pairs, Array.from({ length: 8 }, () => JSON.stringify(pair)).join('\n'));
    const { command, leadingArguments } = programCommand();
    const args = ['train', '--model', 'embedded', '--pairs', pairs, '--out', join(folder, 'adapter'), '--json'];
    const settings = ['--steps', '100000', '--rank', '2', '--home', join(folder, 'home')];
    const child = spawn(command, [...leadingArguments, ...args, ...settings]);
    let errors = '';
    child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()));
    // Twice, as it comes from a terminal through npm.
    child.stdout.once('data', () => {
      child.kill('SIGINT');
      child.kill('SIGTERM');
    });
    const code = await new Promise((resolve) => child.on('close', resolve));
    assert.equal(code, 130, errors);
    assert.match(errors, /error INTERRUPTED: interrupted; kept: .+\nfix: .+\n$/);
  });

  it('keeps quiet and ends with 0 when the reader of its output goes away', async () => {
    const { command, leadingArguments } = programCommand();
    const child = spawn(command, [...leadingArguments, '--help'], { stdio: ['ignore', 'pipe', 'pipe'] });
    child.stdout.destroy();
    let errors = '';
    child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()));
    const code = await new Promise((resolve) => child.on('close', resolve));
    assert.equal(errors, '');
    assert.equal(code, 0);
  });

  it('tells an old Node plainly what it needs, from a file that old Node can read', () => {
    const door = readFileSync(join(packageFolder(), 'scripts', 'prefmesh.js'), 'utf8');
    const old = join(folder, 'prefmesh.js');
    const version = "'20.11.0'";
    writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
    writeFileSync(old, door.replaceAll('process.versions.node', version));
    const outcome = spawnSync(process.execPath, [old], { encoding: 'utf8' });
    assert.equal(outcome.status, 2);
    assert.equal(
      outcome.stderr,
      'error NODE_TOO_OLD: prefmesh needs Node 24 or newer; this is Node 20.11.0\n' +
        'fix: install Node 24 or newer and run the command with it\n',
    );
  });

  it('hands over to the pinned Node in a clone and passes its exit code back', () => {
    const door = readFileSync(join(packageFolder(), 'scripts', 'prefmesh.js'), 'utf8');
    const clone = join(folder, 'clone');
    execFileSync('mkdir', ['-p', join(clone, 'scripts'), join(clone, 'node_modules', 'node', 'bin')]);
    execFileSync('ln', ['-s', process.execPath, join(clone, 'node_modules', 'node', 'bin', 'node')]);
    writeFileSync(join(clone, 'package.json'), '{"type":"module"}');
    writeFileSync(join(clone, 'scripts', 'prefmesh.js'), door.replaceAll('process.versions.node', "'20.11.0'"));
    writeFileSync(
      join(clone, 'prefmesh.ts'),
      'const n: number = 7; console.log(process.argv[2]); process.exitCode = n;',
    );
    const outcome = spawnSync(process.execPath, [join(clone, 'scripts', 'prefmesh.js'), 'hello'], { encoding: 'utf8' });
    assert.equal(outcome.stderr, '');
    assert.equal(outcome.stdout, 'hello\n');
    assert.equal(outcome.status, 7);
  });
});
