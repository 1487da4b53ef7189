import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeFolder } from '../../../node/storage/atomicFile.ts';

describe('making a folder', () => {
  const folder = mkdtempSync(join(tmpdir(), 'prefmesh-folders-'));
  after(() => rmSync(folder, { recursive: true, force: true }));

  it('makes those on the way to it, also at the same time, and does nothing where it is there', async () => {
    const wanted = join(folder, 'a', 'b', 'c');
    await Promise.all([makeFolder(wanted), makeFolder(wanted), makeFolder(join(folder, 'a', 'b', 'd'))]);
    await makeFolder(wanted);
    assert.ok(statSync(wanted).isDirectory());
  });

  it('says that a file is in the way', async () => {
    writeFileSync(join(folder, 'file'), '');
    await assert.rejects(makeFolder(join(folder, 'file')), { code: 'EEXIST' });
    await assert.rejects(makeFolder(join(folder, 'file', 'below')), { code: 'ENOTDIR' });
  });

  it('ends where no folder can be made, as in /proc', async function () {
    if (process.platform !== 'linux') this.skip();
    await assert.rejects(makeFolder('/proc/nothing/below'), { code: 'ENOENT' });
  });
});
