// Writes blobs and rows as fast as it can and acknowledges each on its output, until it is killed.
import { randomBytes } from 'node:crypto';
import { writeSync } from 'node:fs';
import { BlobStore } from '../../../node/storage/blobs.ts';
import { DataFolder } from '../../../node/storage/dataFolder.ts';
import { Database } from '../../../node/storage/database.ts';
import { LEDGER } from './ledger.ts';

const [home, run] = process.argv.slice(2);
if (home === undefined || run === undefined) throw new Error('usage: acknowledgingWriter.ts HOME RUN');
using folder = await DataFolder.open(home);
const store = await BlobStore.open(folder.paths.blobs);
using database = Database.open(folder.paths.database, { migrations: LEDGER });
for (let n = 0; ; n++) {
  const hash = await store.put(randomBytes(50_000 + n * 1000));
  const row = Number(run) * 1_000_000 + n;
  database.run('INSERT INTO ledger (row, hash) VALUES (?, ?)', row, hash);
  writeSync(1, `${JSON.stringify({ row, hash })}\n`);
}
