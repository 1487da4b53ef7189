import assert from 'node:assert/strict';
import { open, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Database, type Migration } from '../../../node/storage/database.ts';
import { scratchFolder } from './scratch.ts';

const NOTES: Migration = {
  version: 1,
  name: 'notes',
  sql: 'CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT',
};
const AUTHOR: Migration = {
  version: 2,
  name: 'author',
  sql: "ALTER TABLE notes ADD COLUMN author TEXT NOT NULL DEFAULT ''",
};

describe('the database', () => {
  it('writes through to disk at every commit: write-ahead log, synchronous full, mode 0600', async () => {
    await using scratch = await scratchFolder();
    const file = join(scratch.path, 'state.sqlite');
    using database = Database.open(file, { migrations: [NOTES] });
    assert.equal(database.get<{ journal_mode: string }>('PRAGMA journal_mode')?.journal_mode, 'wal');
    assert.equal(database.get<{ synchronous: number }>('PRAGMA synchronous')?.synchronous, 2);
    database.run('INSERT INTO notes (body) VALUES (?)', 'one');
    for (const name of [file, `${file}-wal`]) assert.equal((await stat(name)).mode & 0o777, 0o600);
  });

  it('moves an older file forward and keeps its rows', async () => {
    await using scratch = await scratchFolder();
    const file = join(scratch.path, 'state.sqlite');
    {
      using database = Database.open(file, { migrations: [NOTES] });
      database.run('INSERT INTO notes (body) VALUES (?)', 'kept');
    }
    using database = Database.open(file, { migrations: [NOTES, AUTHOR] });
    assert.deepEqual(
      { ...database.get<{ body: string; author: string }>('SELECT body, author FROM notes') },
      { body: 'kept', author: '' },
    );
  });

  it('refuses the file of a newer program', async () => {
    await using scratch = await scratchFolder();
    const file = join(scratch.path, 'state.sqlite');
    Database.open(file, { migrations: [NOTES, AUTHOR] }).close();
    assert.throws(() => Database.open(file, { migrations: [NOTES] }), { code: 'DATABASE_NEWER' });
  });

  it('leaves no trace of a migration that fails', async () => {
    await using scratch = await scratchFolder();
    const file = join(scratch.path, 'state.sqlite');
    const broken: Migration = {
      version: 2,
      name: 'broken',
      sql: 'CREATE TABLE extra (a INTEGER) STRICT; CREATE TABLE notes (a INTEGER)',
    };
    Database.open(file, { migrations: [NOTES] }).close();
    assert.throws(() => Database.open(file, { migrations: [NOTES, broken] }));
    using database = Database.open(file, { migrations: [NOTES] });
    assert.equal(database.get("SELECT 1 FROM sqlite_schema WHERE name = 'extra'"), undefined);
  });

  it('does all of a transaction or nothing', async () => {
    await using scratch = await scratchFolder();
    using database = Database.open(join(scratch.path, 'state.sqlite'), { migrations: [NOTES] });
    assert.throws(() =>
      database.transaction(() => {
        database.run('INSERT INTO notes (body) VALUES (?)', 'lost');
        throw new Error('half way');
      }),
    );
    assert.deepEqual(database.all('SELECT body FROM notes'), []);
    database.transaction(() => database.run('INSERT INTO notes (body) VALUES (?)', 'kept'));
    assert.equal(database.all('SELECT body FROM notes').length, 1);
  });

  it('refuses asynchronous work and a transaction inside another', async () => {
    await using scratch = await scratchFolder();
    using database = Database.open(join(scratch.path, 'state.sqlite'), { migrations: [NOTES] });
    assert.throws(() => database.transaction(async () => database.run('DELETE FROM notes')), TypeError);
    assert.throws(() => database.transaction(() => database.transaction(() => 1)), /already open/);
    database.transaction(() => 1);
  });

  it('lets another connection look while it is held open', async () => {
    await using scratch = await scratchFolder();
    const file = join(scratch.path, 'state.sqlite');
    using database = Database.open(file, { migrations: [NOTES] });
    database.run('INSERT INTO notes (body) VALUES (?)', 'seen');
    using looker = Database.open(file, { migrations: [NOTES], readOnly: true });
    assert.equal(looker.all('SELECT body FROM notes').length, 1);
    assert.throws(() => looker.run('DELETE FROM notes'), { code: 'STORAGE_FAILED' });
  });

  it('names and refuses a damaged file, and leaves every byte of it as it was', async () => {
    await using scratch = await scratchFolder();
    const file = join(scratch.path, 'state.sqlite');
    {
      using database = Database.open(file, { migrations: [NOTES] });
      database.transaction(() => {
        for (let n = 0; n < 500; n++) database.run('INSERT INTO notes (body) VALUES (?)', 'x'.repeat(200));
      });
    }
    const handle = await open(file, 'r+');
    await handle.write(Buffer.alloc(512, 0xa5), 0, 512, 4096 * 3);
    await handle.close();
    const damaged = await readFile(file);
    assert.throws(() => Database.open(file, { migrations: [NOTES] }), {
      code: 'DATABASE_CORRUPT',
      message: /state\.sqlite/,
    });
    assert.deepEqual(await readFile(file), damaged);
  });

  it('refuses a file that is no database', async () => {
    await using scratch = await scratchFolder();
    const file = join(scratch.path, 'state.sqlite');
    await writeFile(
      file,
      'this is a letter, not a database, and it is long enough to have a header of its own. '.repeat(20),
    );
    assert.throws(() => Database.open(file, { migrations: [NOTES] }), { code: 'DATABASE_CORRUPT' });
  });
});
