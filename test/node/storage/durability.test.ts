import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { writeFileAtomic } from '../../../node/storage/atomicFile.ts';
import { BlobStore } from '../../../node/storage/blobs.ts';
import { DataFolder } from '../../../node/storage/dataFolder.ts';
import { Database } from '../../../node/storage/database.ts';
import type { Sha256 } from '../../../protocol/names.ts';
import { LEDGER } from './ledger.ts';
import { scratchFolder } from './scratch.ts';

const WRITER = new URL('./acknowledgingWriter.ts', import.meta.url).pathname;
const KILLS = 15;

describe('what was acknowledged', () => {
  it(`is there after kill -9 at ${KILLS} scattered moments: blobs whole, rows present, nothing half-written`, async function () {
    this.timeout(180_000);
    await using scratch = await scratchFolder();
    const acknowledged: { row: number; hash: Sha256 }[] = [];
    for (let run = 0; run < KILLS; run++) {
      const child = spawn(process.execPath, [WRITER, scratch.path, String(run)], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const stopAfter = 1 + ((run * 7) % 10);
      let seen = 0;
      for await (const line of createInterface(child.stdout)) {
        acknowledged.push(JSON.parse(line));
        // The kill falls some part of one write after an acknowledgement.
        if (++seen === stopAfter) setTimeout(() => child.kill('SIGKILL'), (run * 1.3) % 6);
      }
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
      assert.equal(child.signalCode, 'SIGKILL');
    }
    assert.ok(acknowledged.length >= KILLS);

    using folder = await DataFolder.open(scratch.path);
    const store = await BlobStore.open(folder.paths.blobs);
    using database = Database.open(folder.paths.database, { migrations: LEDGER });
    for (const { row, hash } of acknowledged) {
      assert.equal(database.get<{ hash: Sha256 }>('SELECT hash FROM ledger WHERE row = ?', row)?.hash, hash);
      await store.verify(hash);
    }
    for (const hash of await store.list()) await store.verify(hash);
    for (const { hash } of database.all<{ hash: Sha256 }>('SELECT hash FROM ledger')) assert.ok(await store.has(hash));
    const names = await readdir(folder.paths.blobs);
    assert.deepEqual(
      names.filter((name) => name.endsWith('.tmp')),
      [],
    );
  });
});

describe('a full disk', () => {
  it('ends in DISK_FULL with a remedy, keeps what was stored, and leaves no partial file', async () => {
    await using scratch = await scratchFolder();
    await mkdir(join(scratch.path, 'blobs'));
    const store = await BlobStore.open(join(scratch.path, 'blobs'));
    const kept = await store.put(Buffer.alloc(1000, 1));
    const file = join(scratch.path, 'settings.json');
    await writeFileAtomic(file, 'before');
    // The file-size limit of a child process stands for the full disk: the write fails half way, as there.
    const script = `
      const { BlobStore } = await import(${JSON.stringify(new URL('../../../node/storage/blobs.ts', import.meta.url).href)});
      const { writeFileAtomic } = await import(${JSON.stringify(new URL('../../../node/storage/atomicFile.ts', import.meta.url).href)});
      const store = await BlobStore.open(${JSON.stringify(store.folder)});
      const codes = [];
      await store.put(new Uint8Array(200_000)).catch((error) => codes.push(error.code + '/' + error.details.problem));
      await writeFileAtomic(${JSON.stringify(file)}, 'x'.repeat(200_000)).catch((error) => codes.push(error.code + '/' + error.fix.slice(0, 15)));
      process.stdout.write(codes.join(' '));`;
    const limited = 'ulimit -f 64; exec "$0" --input-type=module -e "$1"';
    const child = spawnSync('bash', ['-c', limited, process.execPath, script], { encoding: 'utf8' });
    assert.equal(child.stdout, 'DISK_FULL/EFBIG DISK_FULL/free disk space', child.stderr);
    assert.equal(await readFile(file, 'utf8'), 'before');
    assert.deepEqual(await readdir(store.folder), [kept, 'quarantine']);
    await store.verify(kept);
  });
});
