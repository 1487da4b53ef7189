/**
 * What the processes of a federation said, and whether their disks still hold it.
 *
 * Everything here is read by other means than the program's own: plain SQL, plain hashes. What a process said before it
 * died has to be on its disk after it died, for it says nothing that is not there.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { AggregatorEvent } from '../../aggregator/events.ts';
import { openCheckpoint } from '../../node/model/checkpoint.ts';
import type { ParticipantEvent } from '../../node/participant/events.ts';
import { readPeftAdapter } from '../../node/training/peft.ts';

interface UpdateRow {
  round: number;
  sender: string;
  blob: string;
}

/** All that was said in one federation, over all lives of its processes. */
export class History {
  /** Round → hash of its receipt. */
  readonly receipts = new Map<number, string>();
  /** Round → adapter after it. */
  readonly adapters = new Map<number, string>();
  /** `round participant` → blob of the update that the participant was told is accepted. */
  readonly acknowledged = new Map<string, string>();
  /** `round participant` → blob of the update that the participant made. */
  readonly made = new Map<string, string>();
  readonly #keys = new Map<string, string>();
  #round = 0;

  hearAggregator(events: readonly AggregatorEvent[]): void {
    for (const event of events) {
      if (event.event === 'round-closed') {
        this.#note(this.receipts, event.round, event.receipt, 'receipts of round');
        this.#note(this.adapters, event.round, event.adapter, 'adapters of round');
      }
      if (event.event === 'listening' || event.event === 'round-opened') {
        assert.ok(event.round >= this.#round, `round ${event.round} after round ${this.#round}`);
        this.#round = event.round;
      }
    }
  }

  hearParticipant(id: string, events: readonly ParticipantEvent[]): void {
    for (const event of events) {
      if (event.event === 'trained') this.#note(this.made, `${event.round} ${id}`, event.blob, 'updates made for');
      if (event.event === 'update-accepted') {
        this.#note(this.acknowledged, `${event.round} ${id}`, event.blob, 'updates accepted for');
      }
      if (event.event === 'receipt-verified')
        this.#note(this.receipts, event.round, event.receipt, 'receipts of round');
      if (event.event === 'adopted') this.#note(this.adapters, event.round, event.adapter, 'adapters of round');
    }
  }

  /** The disk of a dead aggregator. */
  checkAggregator(home: string): void {
    this.#checkKey(home);
    const file = join(home, 'aggregator.sqlite');
    if (!existsSync(file)) return assert.equal(this.receipts.size, 0, 'the ledger is gone');
    using database = openDatabase(file);
    const state = database.prepare('SELECT state FROM federation').get()?.state;
    if (state === undefined) return assert.equal(this.#round, 0, 'the state is gone');
    const { round } = JSON.parse(String(state)) as { round: number };
    assert.ok(round >= this.#round, `the ledger stands at round ${round}, after round ${this.#round} was announced`);

    const rows = database.prepare('SELECT round, sender, blob FROM updates WHERE code IS NULL').all();
    const accepted = rows as unknown as UpdateRow[];
    const blobs = new Map(accepted.map(({ round: of, sender, blob }) => [`${of} ${sender}`, blob]));
    assert.equal(blobs.size, accepted.length, 'a participant has two accepted updates in one round');
    for (const [whose, blob] of this.acknowledged) {
      assert.equal(blobs.get(whose), blob, `the acknowledged update ${whose} is not in the ledger`);
    }
    for (const blob of blobs.values()) checkBlob(home, blob);
    const receipts = new Map(
      database
        .prepare('SELECT round, hash FROM receipts')
        .all()
        .map((row) => [Number(row.round), String(row.hash)]),
    );
    for (const [of, hash] of this.receipts) assert.equal(receipts.get(of), hash, `receipt of round ${of}`);
    for (const [of, hash] of receipts) this.#note(this.receipts, of, hash, 'receipts of round');
    for (const adapter of this.adapters.values()) checkBlob(home, adapter);
  }

  /** The disk of a dead participant. Its PEFT folder in use, if any, is a whole adapter of the model. */
  async checkParticipant(home: string, id: string, model: string, events: readonly ParticipantEvent[]): Promise<void> {
    this.#checkKey(home);
    using database = openDatabase(join(home, 'state.sqlite'));
    const rows = database.prepare('SELECT round, blob, status FROM updates').all();
    const updates = new Map(rows.map((row) => [Number(row.round), { blob: String(row.blob), status: row.status }]));
    const rounds = new Set(
      database
        .prepare('SELECT round FROM receipts')
        .all()
        .map(({ round }) => Number(round)),
    );
    for (const [round, { blob, status }] of updates) {
      const made = this.made.get(`${round} ${id}`);
      if (made !== undefined) assert.equal(blob, made, `another update of round ${round}`);
      if (status === 'made') checkBlob(home, blob);
    }
    for (const event of events) {
      if (event.event === 'update-accepted') {
        assert.equal(updates.get(event.round)?.status, 'accepted', `the acceptance of round ${event.round} is lost`);
      }
      if (event.event === 'adopted') {
        assert.ok(rounds.has(event.round), `the adopted receipt ${event.round} is lost`);
      }
    }
    const [last] = [...rounds].sort((a, b) => b - a);
    const { federation } = database.prepare('SELECT federation FROM memberships').get() as { federation: string };
    const adapters = join(home, 'adapters', federation.slice(0, 16));
    const pointer = join(adapters, 'current');
    if (last === undefined && !existsSync(pointer)) return;
    const target = readlinkSync(pointer);
    const current = Number(/^round-(\d+)$/.exec(target)?.[1]);
    // The pointer moves just before the receipt is recorded, so it may be one round ahead.
    assert.ok(current === (last ?? 0) || current === (last ?? 0) + 1, `${target} is in use after round ${last}`);
    const { config } = await openCheckpoint(model);
    await readPeftAdapter(join(adapters, target), config);
  }

  #checkKey(home: string): void {
    const key = readFileSync(join(home, 'keys', 'identity.json'), 'utf8');
    assert.equal(this.#keys.get(home) ?? key, key, 'the key has changed');
    this.#keys.set(home, key);
  }

  /** Of everything there is one, whoever says it and how often. */
  #note<Key>(known: Map<Key, string>, key: Key, hash: string, what: string): void {
    assert.equal(known.get(key) ?? hash, hash, `two ${what} ${String(key)}`);
    known.set(key, hash);
  }
}

function openDatabase(file: string): DatabaseSync {
  const database = new DatabaseSync(file);
  assert.equal(database.prepare('PRAGMA integrity_check(1)').get()?.integrity_check, 'ok', file);
  return database;
}

function checkBlob(home: string, hash: string): void {
  const bytes = readFileSync(join(home, 'blobs', hash));
  assert.equal(createHash('sha256').update(bytes).digest('hex'), hash, 'a blob has another content than its name says');
}
