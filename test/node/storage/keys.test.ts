import assert from 'node:assert/strict';
import { chmod, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DataFolder } from '../../../node/storage/dataFolder.ts';
import { openIdentity, readIdentity } from '../../../node/storage/keys.ts';
import { sign, verify } from '../../../protocol/identity.ts';
import { scratchFolder } from './scratch.ts';

describe('the identity key', () => {
  it('is made once, with mode 0600, and read again unchanged', async () => {
    await using scratch = await scratchFolder();
    using folder = await DataFolder.open(scratch.path);
    const first = await openIdentity(folder);
    assert.equal((await stat(folder.paths.identityKey)).mode & 0o777, 0o600);
    const second = await openIdentity(folder);
    assert.equal(second.id, first.id);
    const message = Buffer.from('the same key');
    assert.ok(verify(first.id, message, sign(second, message)));
  });

  it('is refused with every single bit of its file flipped, and the file stays as it is', async () => {
    await using scratch = await scratchFolder();
    using folder = await DataFolder.open(scratch.path);
    await openIdentity(folder);
    const file = folder.paths.identityKey;
    const good = await readFile(file);
    for (let byte = 0; byte < good.length - 1; byte++) {
      const bad = Buffer.from(good);
      bad[byte] = (bad[byte] ?? 0) ^ (1 << (byte % 8));
      await writeFile(file, bad);
      await assert.rejects(openIdentity(folder), { code: 'KEY_CORRUPT' }, `byte ${byte}`);
      assert.deepEqual(await readFile(file), bad);
    }
  });

  it('is refused when cut short or empty, and the error holds nothing of the seed', async () => {
    await using scratch = await scratchFolder();
    using folder = await DataFolder.open(scratch.path);
    await openIdentity(folder);
    const file = folder.paths.identityKey;
    const text = await readFile(file, 'utf8');
    const { seed } = JSON.parse(text) as { seed: string };
    for (const bad of ['', text.slice(0, 100)]) {
      await writeFile(file, bad);
      await assert.rejects(openIdentity(folder), (error: Error & { code: string }) => {
        assert.equal(error.code, 'KEY_CORRUPT');
        assert.ok(error.message.includes(file));
        assert.ok(!error.message.includes(seed.slice(0, 8)));
        return true;
      });
    }
  });

  it('is refused when other users can read it', async () => {
    await using scratch = await scratchFolder();
    using folder = await DataFolder.open(scratch.path);
    await openIdentity(folder);
    await chmod(folder.paths.identityKey, 0o644);
    await assert.rejects(openIdentity(folder), { code: 'KEY_EXPOSED' });
  });

  for (const database of ['state.sqlite', 'aggregator.sqlite']) {
    it(`is not made anew in a folder that has ${database}`, async () => {
      await using scratch = await scratchFolder();
      {
        using folder = await DataFolder.open(scratch.path);
        await openIdentity(folder);
        await writeFile(join(scratch.path, database), '');
        await rm(folder.paths.identityKey);
      }
      using folder = await DataFolder.open(scratch.path);
      await assert.rejects(openIdentity(folder), { code: 'KEY_MISSING' });
      assert.equal(await readIdentity(folder.paths.identityKey), undefined);
    });
  }
});
