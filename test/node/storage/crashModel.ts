/**
 * All that may be on a disk after a power cut in the middle of a recorded sequence of changes.
 *
 * What POSIX promises is little, and this model takes no more: the content of a file is durable when the file was
 * synced, a name when its folder was synced. Of the rest, any subset of the changes of names may have reached the
 * disk, in whatever order, and of each file's content none, all, a part, or the length with nothing in it. A rename
 * inside one folder is one change. Source: Pillai et al., All File Systems Are Not Created Equal (OSDI 2014).
 */
import assert from 'node:assert/strict';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import type { FileChange } from '../../../scripts/torture/fileLayer.ts';

/** A disk as it may be found: contents of files, targets of links, folders. */
export type Found = Uint8Array | { readonly target: string } | { readonly names: ReadonlyMap<string, Found> };

interface File {
  readonly kind: 'file';
  durable: Uint8Array;
  pending: (Extract<FileChange, { kind: 'write' }> | Extract<FileChange, { kind: 'truncate' }>)[];
}

interface Folder {
  readonly kind: 'folder';
  durable: Map<string, Entry>;
  /** Names that change together, and what they stand for then; null for nothing. */
  pending: [string, Entry | null][][];
}

type Entry = File | Folder | { readonly kind: 'link'; readonly target: string };

/** More than these per moment would be a trace that is too long to try wholly. */
const MOST_STATES = 20_000;

/** A disk that changes are made on, starting from an empty folder at `root`. */
export class CrashModel {
  readonly #root: string;
  readonly #top: Folder = { kind: 'folder', durable: new Map(), pending: [] };

  constructor(root: string) {
    this.#root = root;
  }

  apply(change: FileChange): void {
    switch (change.kind) {
      case 'create':
        return this.#name(change.path, { kind: 'file', durable: new Uint8Array(), pending: [] });
      case 'make-folder':
        return this.#makeFolder(change.path);
      case 'symlink':
        return this.#name(change.path, { kind: 'link', target: change.target });
      case 'write':
      case 'truncate':
        this.#file(change.path).pending.push(change);
        return;
      case 'rename': {
        assert.equal(dirname(change.path), dirname(change.to), 'the model knows renames inside a folder only');
        const entry = this.#entry(change.path);
        const [from, to] = [basename(change.path), basename(change.to)];
        this.#folder(dirname(change.path)).pending.push([
          [from, null],
          [to, entry],
        ]);
        return;
      }
      case 'remove':
        return this.#name(change.path, null);
      case 'sync': {
        const entry = this.#entry(change.path);
        if (entry.kind === 'file')
          Object.assign(entry, { durable: written(entry.durable, entry.pending), pending: [] });
        else if (entry.kind === 'folder') Object.assign(entry, { durable: named(entry, entry.pending), pending: [] });
        return;
      }
      case 'copy':
        return this.#name(change.to, { kind: 'file', durable: new Uint8Array(), pending: [] });
      case 'commit':
        return; // SQLite syncs for itself
    }
  }

  /** Makes all that was done so far durable. */
  settle(): void {
    const settle = (entry: Entry): void => {
      if (entry.kind === 'file') Object.assign(entry, { durable: written(entry.durable, entry.pending), pending: [] });
      if (entry.kind !== 'folder') return;
      Object.assign(entry, { durable: named(entry, entry.pending), pending: [] });
      for (const child of entry.durable.values()) settle(child);
    };
    settle(this.#top);
  }

  /** What may be found under `root` if the power is cut now. */
  *states(): Generator<ReadonlyMap<string, Found>> {
    let count = 0;
    for (const found of statesOf(this.#top)) {
      assert.ok((count += 1) <= MOST_STATES, 'too many states to try');
      yield (found as { names: ReadonlyMap<string, Found> }).names;
    }
  }

  #makeFolder(path: string): void {
    // `recursive` makes those on the way too.
    if (path !== this.#root && this.#find(dirname(path)) === undefined) this.#makeFolder(dirname(path));
    this.#name(path, { kind: 'folder', durable: new Map(), pending: [] });
  }

  #name(path: string, entry: Entry | null): void {
    this.#folder(dirname(path)).pending.push([[basename(path), entry]]);
  }

  #file(path: string): File {
    const entry = this.#entry(path);
    assert.ok(entry.kind === 'file', `${path} is no file`);
    return entry;
  }

  #folder(path: string): Folder {
    const entry = this.#entry(path);
    assert.ok(entry.kind === 'folder', `${path} is no folder`);
    return entry;
  }

  #entry(path: string): Entry {
    const entry = this.#find(path);
    assert.ok(entry, `${path} is not there`);
    return entry;
  }

  #find(path: string): Entry | undefined {
    const way = relative(this.#root, path);
    assert.ok(!way.startsWith('..'), `${path} lies outside`);
    let entry: Entry | undefined = this.#top;
    for (const name of way === '' ? [] : way.split('/')) {
      entry = entry?.kind === 'folder' ? named(entry, entry.pending).get(name) : undefined;
    }
    return entry;
  }
}

/** Writes a found disk out, so that the real program can open it. */
export function layOut(names: ReadonlyMap<string, Found>, folder: string): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  for (const [name, found] of names) {
    const path = join(folder, name);
    if (found instanceof Uint8Array) writeFileSync(path, found, { mode: 0o600 });
    else if ('target' in found) symlinkSync(found.target, path);
    else layOut(found.names, path);
  }
}

function* statesOf(entry: Entry): Generator<Found> {
  if (entry.kind === 'link') return yield { target: entry.target };
  if (entry.kind === 'file') return yield* contentsOf(entry);
  for (const reached of subsets(entry.pending)) {
    const names = [...named(entry, reached)];
    for (const children of combinations(names.map(([, child]) => [...statesOf(child)]))) {
      yield { names: new Map(children.map((child, i) => [names[i]![0], child])) };
    }
  }
}

function* contentsOf({ durable, pending }: File): Generator<Uint8Array> {
  yield durable;
  if (pending.length === 0) return;
  const whole = written(durable, pending);
  yield whole;
  yield whole.slice(0, whole.length >> 1);
  const hollow = new Uint8Array(whole.length);
  hollow.set(durable.subarray(0, whole.length));
  yield hollow;
}

function written(content: Uint8Array, changes: File['pending']): Uint8Array {
  let bytes = content;
  for (const change of changes) {
    const end = change.kind === 'write' ? (change.position ?? bytes.length) + change.bytes.length : change.length;
    const next = new Uint8Array(change.kind === 'write' ? Math.max(end, bytes.length) : end);
    next.set(bytes.subarray(0, next.length));
    if (change.kind === 'write') next.set(change.bytes, end - change.bytes.length);
    bytes = next;
  }
  return bytes;
}

function named({ durable }: Folder, changes: Folder['pending']): Map<string, Entry> {
  const names = new Map(durable);
  for (const [name, entry] of changes.flat()) {
    if (entry === null) names.delete(name);
    else names.set(name, entry);
  }
  return names;
}

function subsets<T>(items: readonly T[]): T[][] {
  return Array.from({ length: 2 ** items.length }, (_, bits) => items.filter((_item, i) => (bits >> i) & 1));
}

function combinations<T>(choices: readonly (readonly T[])[]): T[][] {
  return choices.reduce<T[][]>((all, of) => all.flatMap((each) => of.map((one) => [...each, one])), [[]]);
}
