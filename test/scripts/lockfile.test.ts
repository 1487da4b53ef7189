import assert from 'node:assert/strict';
import { completeLockfile } from '../../scripts/lockfile.ts';

const builds = {
  '@x/tool-linux-x64-gnu': '1.2.3',
  '@x/tool-linux-arm64-musl': '1.2.3',
  '@x/tool-darwin-arm64': '1.2.3',
};
const lock = {
  packages: {
    '': { version: '0.1.0' },
    'node_modules/@x/tool-linux-x64-gnu': { version: '1.2.3', integrity: 'sha512-x', optional: true, dev: true },
    'node_modules/tool': { version: '1.2.3', dev: true, optionalDependencies: builds },
  },
};

describe('the lock file', () => {
  it('gets an entry for each platform build that npm left out', () => {
    const { lock: completed, added } = completeLockfile(lock);
    assert.deepEqual(added, ['@x/tool-linux-arm64-musl', '@x/tool-darwin-arm64']);
    assert.deepEqual(completed.packages['node_modules/@x/tool-linux-arm64-musl'], {
      version: '1.2.3',
      os: ['linux'],
      cpu: ['arm64'],
      libc: ['musl'],
      dev: true,
      optional: true,
    });
    assert.deepEqual(completed.packages['node_modules/@x/tool-darwin-arm64'], {
      version: '1.2.3',
      os: ['darwin'],
      cpu: ['arm64'],
      dev: true,
      optional: true,
    });
  });

  it('keeps the entries it has, and is whole after one pass', () => {
    const { lock: completed } = completeLockfile(lock);
    const name = 'node_modules/@x/tool-linux-x64-gnu';
    assert.deepEqual(completed.packages[name], lock.packages[name]);
    assert.deepEqual(completeLockfile(completed).added, []);
  });

  it('leaves a range alone, which does not say which version to add', () => {
    const ranged = { packages: { 'node_modules/a': { optionalDependencies: { '@x/tool-linux-x64': '^1.0.0' } } } };
    assert.deepEqual(completeLockfile(ranged).added, []);
  });
});
