import assert from 'node:assert/strict';
import { copyFileSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { Database, type Migration } from '../../../node/storage/database.ts';
import { isPrefmeshError } from '../../../protocol/errors.ts';
import { scratchFolder } from './scratch.ts';

const migrations: readonly Migration[] = [
  {
    version: 1,
    name: 'accounts',
    sql: `
      CREATE TABLE accounts (owner TEXT PRIMARY KEY, balance INTEGER NOT NULL, rate REAL, key BLOB, note TEXT) STRICT;
      CREATE TABLE moves (owner TEXT NOT NULL, number INTEGER NOT NULL, UNIQUE (owner, number)) STRICT;`,
  },
];
const OWNERS = ['ada', 'ben', 'cleo'];

function fill(database: Database, transactions: number): void {
  for (let number = 0; number < transactions; number++) {
    const owner = OWNERS[number % OWNERS.length]!;
    database.transaction(() => {
      const key = Uint8Array.of(number, 1, 2);
      database.run('INSERT OR REPLACE INTO accounts VALUES (?, ?, ?, ?, NULL)', owner, number * 100, number / 8, key);
      database.run('INSERT INTO moves VALUES (?, ?)', owner, number);
    });
  }
}

interface Content {
  readonly accounts: unknown[];
  readonly moves: unknown[];
}

function contentOf(file: string): Content {
  using database = Database.open(file, { migrations });
  return {
    accounts: database.all('SELECT * FROM accounts ORDER BY owner'),
    moves: database.all('SELECT * FROM moves ORDER BY number'),
  };
}

const REFUSALS = ['DATABASE_CORRUPT', 'STORAGE_FAILED'];

/** Opens a file whose bits were changed: its content, or the code of the refusal, which names the file. */
function opened(file: string): Content | string {
  try {
    return contentOf(file);
  } catch (error) {
    assert.ok(isPrefmeshError(error) && REFUSALS.includes(error.code), String(error));
    assert.match(error.message, /accounts\.sqlite/);
    return error.code;
  }
}

describe('a flipped bit', function () {
  this.timeout(180_000);

  it('in any byte of a database is refused or changes nothing', async () => {
    await using scratch = await scratchFolder();
    const file = join(scratch.path, 'accounts.sqlite');
    {
      using database = Database.open(file, { migrations });
      fill(database, 8);
    }
    const content = contentOf(file);
    const bytes = readFileSync(file);
    const outcomes = { refused: 0, harmless: 0 };
    for (let at = 0; at < bytes.length; at += bytes[at] === 0 && bytes[at + 1] === 0 ? 61 : 1) {
      const flipped = Buffer.from(bytes);
      flipped[at]! ^= 1 << (at % 8);
      writeFileSync(file, flipped);
      const found = opened(file);
      if (typeof found !== 'string') assert.deepEqual(found, content, `byte ${at}`);
      outcomes[typeof found === 'string' ? 'refused' : 'harmless'] += 1;
      for (const beside of ['-wal', '-shm']) rmSync(`${file}${beside}`, { force: true });
    }
    assert.ok(outcomes.refused > 1000, JSON.stringify(outcomes));
  });

  it('in the log of a killed process is refused, unless it lies in the last transactions', async () => {
    await using scratch = await scratchFolder();
    const [file, left] = [join(scratch.path, 'killed.sqlite'), join(scratch.path, 'accounts.sqlite')];
    const transactions = 7;
    using database = Database.open(file, { migrations });
    fill(database, transactions);
    const log = readFileSync(`${file}-wal`);
    const before = (count: number) => Array.from({ length: count }, (_, number) => number);
    let refused = 0;
    for (let at = 0; at < log.length; at += log[at] === 0 && log[at + 1] === 0 ? 211 : 17) {
      const flipped = Buffer.from(log);
      flipped[at]! ^= 1 << (at % 8);
      copyFileSync(file, left);
      writeFileSync(`${left}-wal`, flipped);
      const found = opened(left);
      if (typeof found === 'string') refused += 1;
      else {
        const moves = (found.moves as { number: number }[]).map(({ number }) => number);
        assert.ok(moves.length >= transactions - 2, `byte ${at} lost ${transactions - moves.length} transactions`);
        assert.deepEqual(moves, before(moves.length));
      }
      for (const beside of ['-wal', '-shm']) rmSync(`${left}${beside}`, { force: true });
    }
    assert.ok(refused > 100, `only ${refused} refused`);
  });

  it('is noticed in a value that only a raw look would show', async () => {
    await using scratch = await scratchFolder();
    const file = join(scratch.path, 'accounts.sqlite');
    {
      using database = Database.open(file, { migrations });
      fill(database, 3);
    }
    {
      using raw = new DatabaseSync(file);
      raw.exec(`UPDATE accounts SET balance = 900 WHERE owner = 'cleo'`);
      assert.equal(raw.prepare('PRAGMA integrity_check').get()?.integrity_check, 'ok');
    }
    assert.throws(() => contentOf(file), { code: 'DATABASE_CORRUPT', message: /row \d of accounts/ });
  });

  it('is looked for from now on in a file that had no checksums yet', async () => {
    await using scratch = await scratchFolder();
    const file = join(scratch.path, 'accounts.sqlite');
    {
      using raw = new DatabaseSync(file);
      raw.exec(`CREATE TABLE migrations (version INTEGER PRIMARY KEY, name TEXT NOT NULL) STRICT;
        INSERT INTO migrations VALUES (1, 'accounts');
        ${migrations[0]!.sql}
        INSERT INTO moves VALUES ('ada', 7)`);
    }
    assert.deepEqual(
      contentOf(file).moves.map((row) => ({ ...(row as object) })),
      [{ owner: 'ada', number: 7 }],
    );
    {
      using raw = new DatabaseSync(file);
      raw.exec('DELETE FROM moves');
    }
    assert.throws(() => contentOf(file), { code: 'DATABASE_CORRUPT', message: /rows and checksums/ });
  });
});
