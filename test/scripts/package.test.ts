import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '..', '..');

describe('the packed package', function () {
  this.timeout(180_000);
  let folder: string;
  let installed: string;

  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'prefmesh-package-'));
    execFileSync('npm', ['pack', '--pack-destination', folder], { cwd: root, stdio: 'ignore' });
    const tarball = readdirSync(folder).find((name) => name.endsWith('.tgz'));
    assert.ok(tarball);
    execFileSync('tar', ['-xzf', join(folder, tarball), '-C', folder]);
    installed = join(folder, 'package');
    // What an installation would put beside it.
    symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  function prefmesh(...args: string[]) {
    const program = join(installed, 'scripts', 'prefmesh.js');
    const environment = { ...process.env, PREFMESH_HOME: join(folder, 'home') };
    return spawnSync(process.execPath, [program, ...args], { cwd: folder, encoding: 'utf8', env: environment });
  }

  it('ships emitted JavaScript and no TypeScript, tests or corpus', () => {
    const files = readdirSync(installed, { recursive: true, encoding: 'utf8' });
    assert.ok(files.includes(join('dist', 'prefmesh.js')));
    assert.ok(files.includes(join('dist', 'node', 'model', 'embedded', 'model.safetensors')));
    assert.deepEqual(
      files.filter((file) => file.endsWith('.ts') || file.startsWith('test')),
      [],
    );
  });

  it('names in its emitted code no module by its .ts', () => {
    const files = readdirSync(join(installed, 'dist'), { recursive: true, encoding: 'utf8' });
    for (const file of files.filter((name) => name.endsWith('.js'))) {
      const text = readFileSync(join(installed, 'dist', file), 'utf8');
      assert.doesNotMatch(text, /(from|import\(|URL\()\s*['"]\.[^'"]*\.ts['"]/, file);
    }
  });

  it('answers --help', () => {
    const { status, stdout, stderr } = prefmesh('--help');
    assert.equal(status, 0, stderr);
    assert.match(stdout, /^Usage: prefmesh /);
  });

  it('generates with the model that it brings', () => {
    const args = ['--model', 'embedded', '--prompt', 'How do I name notes?\n', '--max-tokens', '8', '--json'];
    const { status, stdout, stderr } = prefmesh('generate', ...args);
    assert.equal(status, 0, stderr);
    const { text, finish_reason: reason } = JSON.parse(stdout) as { text: string; finish_reason: string };
    assert.ok(text.trim().length > 0);
    assert.ok(['stop', 'length'].includes(reason));
  });
});
