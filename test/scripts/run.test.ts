import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '..', '..');

/** `npm test -- …`, listing tests instead of running them. */
function listed(...args: string[]) {
  const run = [join(root, 'scripts', 'run.mjs'), 'test', '--dry-run', '--reporter', 'json', ...args];
  const { status, stdout, stderr } = spawnSync(process.execPath, run, { cwd: root, encoding: 'utf8' });
  const files = (): string[] => {
    const { tests } = JSON.parse(stdout) as { tests: { file: string }[] };
    return [...new Set(tests.map(({ file }) => file.slice(root.length + 1)))].sort();
  };
  return { status, stderr, files };
}

describe('npm test', function () {
  this.timeout(120_000);

  it('runs one file, or all of a folder and the folders in it', () => {
    assert.deepEqual(listed('test/scripts/links.test.ts').files(), ['test/scripts/links.test.ts']);
    const folder = listed('test/node/model/quantization/').files();
    assert.ok(
      folder.length > 1 && folder.every((file) => file.startsWith('test/node/model/quantization/')),
      folder.join(),
    );
  });

  it('takes the value of an option for no path', () => {
    const { status, files } = listed('--grep', 'test/absent', '--timeout', '5000', 'test/scripts/links.test.ts');
    assert.deepEqual([status, files()], [0, []]);
  });

  it('refuses a path that does not exist or is no test, instead of running everything', () => {
    for (const [path, what] of [
      ['test/absent', 'there is no test/absent'],
      ['test/node/absent.test.ts', 'there is no test/node/absent.test.ts'],
      ['README.md', 'README.md is no test'],
    ] as const) {
      const { status, stderr } = listed(path);
      assert.equal(status, 2);
      assert.match(stderr, new RegExp(`^error USAGE: ${what}\\nfix: `));
    }
  });
});
