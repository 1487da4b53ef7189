import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DataFolder, dataPaths, defaultHome } from '../../../node/storage/dataFolder.ts';
import { scratchFolder } from './scratch.ts';

const HOLDER = new URL('./lockHolder.ts', import.meta.url).pathname;

describe('the data folder', () => {
  it('is made with mode 0700, its folders too', async () => {
    await using scratch = await scratchFolder();
    const home = join(scratch.path, 'a', 'home');
    using folder = await DataFolder.open(home);
    for (const path of [folder.paths.root, folder.paths.keys, folder.paths.blobs, folder.paths.cache]) {
      assert.equal((await stat(path)).mode & 0o777, 0o700, path);
    }
    assert.equal((await stat(folder.paths.lock)).mode & 0o777, 0o600);
  });

  it('is refused to a second holder in the same process', async () => {
    await using scratch = await scratchFolder();
    using _folder = await DataFolder.open(scratch.path);
    await assert.rejects(DataFolder.open(scratch.path), { code: 'HOME_LOCKED' });
  });

  it('is refused while another process holds it, naming that process, and is free once that one is killed', async () => {
    await using scratch = await scratchFolder();
    const holder = spawn(process.execPath, [HOLDER, scratch.path], { stdio: ['ignore', 'pipe', 'inherit'] });
    await once(holder.stdout, 'data');
    await assert.rejects(DataFolder.open(scratch.path), (error: Error & { code: string }) => {
      assert.equal(error.code, 'HOME_LOCKED');
      assert.match(error.message, new RegExp(`process ${holder.pid}\\b`));
      return true;
    });
    holder.kill('SIGKILL');
    await once(holder, 'exit');
    (await DataFolder.open(scratch.path)).close();
  });

  it('can be opened again after it was closed', async () => {
    await using scratch = await scratchFolder();
    (await DataFolder.open(scratch.path)).close();
    (await DataFolder.open(scratch.path)).close();
  });

  it('does not take a file for a folder', async () => {
    await using scratch = await scratchFolder();
    const file = join(scratch.path, 'occupied');
    await writeFile(file, '');
    await assert.rejects(DataFolder.open(file), { code: 'HOME_UNUSABLE' });
  });

  it('removes what a killed write left, and nothing else', async () => {
    await using scratch = await scratchFolder();
    (await DataFolder.open(scratch.path)).close();
    const paths = dataPaths(scratch.path);
    const leftover = join(paths.blobs, '.put.0123456789abcdef.tmp');
    const kept = join(paths.blobs, 'notes.tmp');
    await writeFile(leftover, 'x');
    await writeFile(kept, 'x');
    (await DataFolder.open(scratch.path)).close();
    await assert.rejects(stat(leftover), { code: 'ENOENT' });
    await stat(kept);
  });

  it('is found through PREFMESH_HOME, else where the platform keeps application data', () => {
    assert.equal(defaultHome({ PREFMESH_HOME: '/data/p' }, 'linux'), '/data/p');
    assert.equal(defaultHome({ XDG_DATA_HOME: '/x' }, 'linux'), join('/x', 'prefmesh'));
    assert.match(defaultHome({}, 'darwin'), /Application Support/);
    assert.equal(defaultHome({ LOCALAPPDATA: '/l' }, 'win32'), join('/l', 'prefmesh'));
  });
});
