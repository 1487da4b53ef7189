/**
 * A simulated disk. What was synced survives a crash; what was not may be gone or torn.
 *
 * Databases are SQLite in memory, in which a commit is durable as it is in a node (write-ahead log, synchronous =
 * FULL), and a transaction that a crash cuts is rolled back. Blobs are written, synced and named in the order of
 * `node/storage/blobs.ts`. With `syncs` off, the disk acknowledges what it may lose: what a careless store would do.
 */
import { Database } from '../../node/storage/database.ts';
import type { Migration, Sql, SqlValue } from '../../node/storage/database.ts';
import type { Blobs } from '../../node/storage/blobs.ts';
import type { RandomStream } from '../../node/training/randomStream.ts';
import { PrefmeshError } from '../../protocol/errors.ts';
import { sha256 } from '../../protocol/names.ts';
import type { Sha256 } from '../../protocol/names.ts';
import type { SimulatedProcess } from './machine.ts';

interface StoredBlob {
  bytes: Uint8Array;
  synced: boolean;
}

interface StoredDatabase {
  open: Database;
  readonly migrations: readonly Migration[];
  /** The writes since the last sync, each a transaction; kept only while the disk does not sync. */
  journal: Write[][];
}

interface Write {
  readonly sql: string;
  readonly values: readonly SqlValue[];
}

/** Milliseconds that a write and a sync take. */
const WRITE_TIME = 2;

/** Longer values are kept beside the database: receipts, of which every participant has a copy. */
const LONG = 1024;
const TOKEN = Buffer.from('kept beside: ');

/** A PEFT folder as it matters here. */
export interface StoredAdapter {
  readonly adapter: Sha256;
  whole: boolean;
}

export class SimulatedDisk {
  readonly folders = new Map<string, StoredAdapter>();
  /** The folder that the pointer names. */
  current: string | null = null;
  /** Whether what was written is made durable before it is acknowledged. */
  syncs = true;
  readonly #blobs = new Map<Sha256, StoredBlob>();
  readonly #databases = new Map<string, StoredDatabase>();
  readonly #lost: Database[] = [];

  /** The database of a name as a process sees it, made when it is first opened. */
  database(name: string, migrations: readonly Migration[], process: SimulatedProcess): Sql {
    let stored = this.#databases.get(name);
    if (stored === undefined) {
      stored = { open: Database.inMemory(migrations), migrations, journal: [] };
      this.#databases.set(name, stored);
    }
    return new ProcessDatabase(stored, this, process);
  }

  /** The blobs as a process sees them. */
  blobs(process: SimulatedProcess): Blobs {
    return new ProcessBlobs(this.#blobs, this, process);
  }

  /** A database looked at from outside; undefined where nobody has made it. */
  look(name: string): Sql | undefined {
    const stored = this.#databases.get(name);
    return stored && new ProcessDatabase(stored, this, { effect: () => undefined });
  }

  /** What lies there, looked at from outside. */
  blob(hash: Sha256): Uint8Array | undefined {
    return this.#blobs.get(hash)?.bytes;
  }

  /** The power goes: what was not synced is gone, or half of it. */
  losePower(random: RandomStream): void {
    for (const [hash, blob] of this.#blobs) {
      if (blob.synced) continue;
      if (random.uniform() < 0.5) this.#blobs.delete(hash);
      else blob.bytes = blob.bytes.slice(0, Math.floor(blob.bytes.length * random.uniform()));
    }
    for (const stored of this.#databases.values()) {
      if (stored.journal.length === 0) continue;
      const kept = stored.journal.slice(0, Math.floor(random.uniform() * stored.journal.length));
      this.#lost.push(stored.open); // a transaction that the crash cut may still have to be rolled back
      stored.open = Database.inMemory(stored.migrations);
      for (const { sql, values } of kept.flat()) stored.open.run(sql, ...values);
      stored.journal = kept;
    }
  }

  /** Flips one bit of a stored blob, if there is any that is not to be spared. */
  decay(random: RandomStream, spared?: ReadonlySet<Sha256>): Sha256 | undefined {
    const hashes = [...this.#blobs.keys()].filter((hash) => !spared?.has(hash));
    const hash = hashes[Math.floor(random.uniform() * hashes.length)];
    if (hash === undefined) return undefined;
    const stored = this.#blobs.get(hash)!;
    const bytes = Uint8Array.from(stored.bytes);
    bytes[Math.floor(random.uniform() * bytes.length)]! ^= 1 << Math.floor(random.uniform() * 8);
    stored.bytes = bytes;
    return hash;
  }

  close(): void {
    for (const { open } of this.#databases.values()) open.close();
    for (const open of this.#lost) open.close();
  }
}

class ProcessDatabase implements Sql {
  readonly #stored: StoredDatabase;
  readonly #disk: SimulatedDisk;
  readonly #process: Pick<SimulatedProcess, 'effect'>;
  #transaction: Write[] | undefined;

  constructor(stored: StoredDatabase, disk: SimulatedDisk, process: Pick<SimulatedProcess, 'effect'>) {
    this.#stored = stored;
    this.#disk = disk;
    this.#process = process;
  }

  get<Row>(sql: string, ...values: SqlValue[]): Row | undefined {
    const row = this.#stored.open.get<Record<string, unknown>>(sql, ...values);
    return row && (unkept(row) as Row);
  }

  all<Row>(sql: string, ...values: SqlValue[]): Row[] {
    return this.#stored.open.all<Record<string, unknown>>(sql, ...values).map((row) => unkept(row) as Row);
  }

  run(sql: string, ...values: SqlValue[]): { changes: number; lastRowId: number } {
    this.#process.effect();
    const kept = values.map(keptBeside);
    const result = this.#stored.open.run(sql, ...kept);
    const write = { sql, values: kept };
    if (this.#transaction) this.#transaction.push(write);
    else this.#committed([write]);
    return result;
  }

  transaction<T>(work: () => T): T {
    this.#transaction = [];
    try {
      const result = this.#stored.open.transaction(work);
      const writes = this.#transaction;
      this.#transaction = undefined;
      this.#committed(writes);
      return result;
    } finally {
      this.#transaction = undefined;
    }
  }

  /** The database stays on the disk; only the view of this process ends. */
  close(): void {}

  #committed(writes: Write[]): void {
    if (!this.#disk.syncs) this.#stored.journal.push(writes);
    this.#process.effect();
  }
}

class ProcessBlobs implements Blobs {
  readonly #blobs: Map<Sha256, StoredBlob>;
  readonly #disk: SimulatedDisk;
  readonly #process: SimulatedProcess;

  constructor(blobs: Map<Sha256, StoredBlob>, disk: SimulatedDisk, process: SimulatedProcess) {
    this.#blobs = blobs;
    this.#disk = disk;
    this.#process = process;
  }

  async put(data: Uint8Array | AsyncIterable<Uint8Array>): Promise<Sha256> {
    if (!(data instanceof Uint8Array)) throw new TypeError('a simulated blob comes in one piece');
    const bytes = data;
    const hash = sha256(bytes);
    this.#process.effect();
    if (!this.#disk.syncs) this.#blobs.set(hash, { bytes, synced: false });
    await this.#process.pass(WRITE_TIME); // written and synced under another name
    this.#process.effect();
    if (this.#disk.syncs) this.#blobs.set(hash, { bytes, synced: true });
    this.#process.effect();
    return hash;
  }

  has(hash: Sha256): Promise<boolean> {
    return Promise.resolve(this.#blobs.has(hash));
  }

  size(hash: Sha256): Promise<number | undefined> {
    return Promise.resolve(this.#blobs.get(hash)?.bytes.length);
  }

  read(hash: Sha256): Promise<Uint8Array> {
    const stored = this.#blobs.get(hash);
    if (stored === undefined) return Promise.reject(new PrefmeshError('BLOB_MISSING', { hash }));
    if (sha256(stored.bytes) === hash) return Promise.resolve(stored.bytes);
    this.#blobs.delete(hash);
    return Promise.reject(new PrefmeshError('BLOB_CORRUPT', { hash, file: `quarantine/${hash}` }));
  }

  async verify(hash: Sha256): Promise<void> {
    await this.read(hash);
  }

  delete(hash: Sha256): Promise<void> {
    this.#process.effect();
    this.#blobs.delete(hash);
    return Promise.resolve();
  }
}

const beside: Uint8Array[] = [];
const places = new WeakMap<Uint8Array, Uint8Array>();

function keptBeside(value: SqlValue): SqlValue {
  if (!(value instanceof Uint8Array) || value.length < LONG) return value;
  let token = places.get(value);
  if (token === undefined) {
    token = new Uint8Array(Buffer.concat([TOKEN, Buffer.from(String(beside.push(value) - 1))]));
    places.set(value, token);
  }
  return token;
}

function unkept(row: Record<string, unknown>): Record<string, unknown> {
  for (const [name, value] of Object.entries(row)) {
    if (!(value instanceof Uint8Array) || value.length > 2 * TOKEN.length || value.length < TOKEN.length) continue;
    const text = Buffer.from(value).toString('latin1');
    if (text.startsWith(TOKEN.toString('latin1'))) row[name] = beside[Number(text.slice(TOKEN.length))];
  }
  return row;
}

/** Forgets what was kept beside databases, when all of them are closed. */
export function forgetKept(): void {
  beside.length = 0;
}
