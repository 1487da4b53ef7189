import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempDisposableSync, readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { prefmesh } from './childProgram.ts';

const PAIRS = 'test/oracle/llama/pairs.jsonl';

/** Where the right to mount is missing, says why. */
function mount(...args: string[]): string | undefined {
  const { status, stderr, error } = spawnSync('mount', args, { encoding: 'utf8' });
  return status === 0 ? undefined : (error?.message ?? stderr);
}

describe('a training run on a disk that fills up', function () {
  this.timeout(120_000);

  it('says so, leaves nothing half written and no earlier adapter changed, and runs once there is space', function () {
    using folder = mkdtempDisposableSync(join(tmpdir(), 'prefmesh-disk-'));
    const disk = join(folder.path, 'disk');
    mkdirSync(disk);
    const refused = mount('-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', disk);
    if (refused !== undefined) {
      this.test!.title += ` (not run: ${refused.trim()})`;
      return this.skip();
    }
    try {
      const train = (out: string) =>
        prefmesh('train', '--model', 'embedded', '--pairs', PAIRS, '--steps', '1', '--out', join(disk, out));
      const weights = (out: string) => readFileSync(join(disk, out, 'adapter_model.safetensors'));
      assert.equal(train('earlier').code, 0);
      const earlier = weights('earlier');

      assert.equal(mount('-o', `remount,size=${earlier.length + 200_000}`, disk), undefined);
      const { code, stderr } = train('later');
      assert.equal(code, 1, stderr);
      assert.match(stderr, /error DISK_FULL: no space left to write \S+later/);
      assert.deepEqual(weights('earlier'), earlier);
      const half = readdirSync(join(disk, 'later')).filter((name) => /\.tmp$|\.safetensors$/.test(name));
      assert.deepEqual(half, []);

      assert.equal(mount('-o', 'remount,size=10m', disk), undefined);
      assert.equal(train('later').code, 0);
      assert.deepEqual(weights('later'), earlier);
    } finally {
      spawnSync('umount', [disk]);
    }
  });
});
