import type { Migration } from '../../../node/storage/database.ts';

/** The schema that the durability test and its child process share. */
export const LEDGER: readonly Migration[] = [
  { version: 1, name: 'ledger', sql: 'CREATE TABLE ledger (row INTEGER PRIMARY KEY, hash TEXT NOT NULL) STRICT' },
];
