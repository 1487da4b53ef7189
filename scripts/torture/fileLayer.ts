/**
 * Sees every change that this process asks of its files, before it is asked for and after it is done.
 *
 * The functions of `node:fs/promises`, the methods of its file handles and the statements of `node:sqlite` are
 * replaced by ones that tell an observer and then do the same. What imports them by name sees the new ones.
 */
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { DatabaseSync, StatementSync } from 'node:sqlite';

type FileHandle = fs.promises.FileHandle;

export type FileChange =
  | { readonly kind: 'create'; readonly path: string }
  | {
      readonly kind: 'write';
      readonly path: string;
      readonly bytes: Uint8Array;
      /** Where in the file; null for its end. */
      readonly position: number | null;
      readonly descriptor: number;
    }
  | { readonly kind: 'truncate'; readonly path: string; readonly length: number }
  /** A file, or a folder: its names then. */
  | { readonly kind: 'sync'; readonly path: string }
  | { readonly kind: 'rename'; readonly path: string; readonly to: string }
  | { readonly kind: 'remove'; readonly path: string }
  | { readonly kind: 'make-folder'; readonly path: string }
  | { readonly kind: 'symlink'; readonly path: string; readonly target: string }
  /** Another name, or a copy, made in one call. */
  | { readonly kind: 'copy'; readonly path: string; readonly to: string }
  /** A statement of SQLite that is durable when it returns; `path` is its beginning. */
  | { readonly kind: 'commit'; readonly path: string };

export interface FileObserver {
  readonly before: (change: FileChange) => void;
  readonly after: (change: FileChange) => void;
}

type Callable = (...args: unknown[]) => unknown;

/** Tells `observer` until what it answers is disposed. */
export async function observeFiles(observer: FileObserver): Promise<Disposable> {
  const undo = new DisposableStack();
  /** Puts another function in the place of one, made from it. */
  const replace = (owner: object, name: string, make: (original: Callable) => Callable): void => {
    const original = Reflect.get(owner, name) as Callable;
    const set = (value: Callable) => Object.defineProperty(owner, name, { value, configurable: true, writable: true });
    set(make(original));
    undo.defer(() => void set(original));
  };
  const paths = new WeakMap<object, string>();
  const asynchronous = (owner: object, name: string, changeOf: (self: object, args: unknown[]) => FileChange | null) =>
    replace(
      owner,
      name,
      (original) =>
        async function (this: object, ...args: unknown[]) {
          const change = changeOf(this, args);
          if (change !== null) observer.before(change);
          const result: unknown = await Reflect.apply(original, this, args);
          if (change !== null) observer.after(change);
          return result;
        },
    );

  const { promises } = fs;
  asynchronous(promises, 'open', (_, [path, flags]) => {
    return creates(flags) && !fs.existsSync(String(path)) ? { kind: 'create', path: String(path) } : null;
  });
  replace(
    promises,
    'open',
    (original) =>
      async function (this: object, ...args: unknown[]) {
        const handle = (await Reflect.apply(original, this, args)) as FileHandle;
        paths.set(handle, String(args[0]));
        return handle;
      },
  );
  const two = (kind: 'rename' | 'copy') => (_: object, args: unknown[]) => {
    return { kind, path: String(args[0]), to: String(args[1]) } as const;
  };
  asynchronous(promises, 'rename', two('rename'));
  for (const name of ['link', 'copyFile', 'cp']) asynchronous(promises, name, two('copy'));
  asynchronous(promises, 'rm', (_, [path]) => {
    const there = fs.lstatSync(String(path), { throwIfNoEntry: false }) !== undefined;
    return there ? { kind: 'remove', path: String(path) } : null;
  });
  asynchronous(promises, 'mkdir', (_, [path]) => {
    return fs.existsSync(String(path)) ? null : { kind: 'make-folder', path: String(path) };
  });
  asynchronous(promises, 'symlink', (_, [target, path]) => {
    return { kind: 'symlink', path: String(path), target: String(target) };
  });

  await using probe = await promises.open(process.execPath);
  const handles = Object.getPrototypeOf(probe) as object;
  const pathOf = (handle: object) => paths.get(handle) ?? 'unknown';
  asynchronous(handles, 'write', (handle, [buffer, offset = 0, length, position = null]) => {
    const bytes = buffer as Uint8Array;
    const from = Number(offset);
    const written = bytes.subarray(from, from + Number(length ?? bytes.length - from));
    const { fd } = handle as FileHandle;
    return {
      kind: 'write',
      path: pathOf(handle),
      bytes: written,
      position: position as number | null,
      descriptor: fd,
    };
  });
  asynchronous(handles, 'truncate', (handle, [length = 0]) => {
    return { kind: 'truncate', path: pathOf(handle), length: Number(length) };
  });
  for (const name of ['sync', 'datasync']) {
    asynchronous(handles, name, (handle) => ({ kind: 'sync', path: pathOf(handle) }));
  }

  // Inside a transaction nothing is durable; the COMMIT that ends it is one change.
  let inTransaction = false;
  const synchronous = (owner: object, name: string, textOf: (self: object, args: unknown[]) => string) =>
    replace(
      owner,
      name,
      (original) =>
        function (this: object, ...args: unknown[]) {
          const text = textOf(this, args).trim();
          if (/^BEGIN/i.test(text)) inTransaction = true;
          if (/^(COMMIT|ROLLBACK)/i.test(text)) inTransaction = false;
          const durable = !inTransaction && /^(COMMIT|INSERT|UPDATE|DELETE|CREATE)/i.test(text);
          const change = { kind: 'commit', path: text.slice(0, 60) } as const;
          if (durable) observer.before(change);
          const result: unknown = Reflect.apply(original, this, args);
          if (durable) observer.after(change);
          return result;
        },
    );
  synchronous(DatabaseSync.prototype, 'exec', (_, [sql]) => String(sql));
  synchronous(StatementSync.prototype, 'run', (statement) => (statement as StatementSync).sourceSQL);
  syncBuiltinESMExports();
  // Put back in the reverse order, and then made known to those who imported by name.
  return {
    [Symbol.dispose]: () => {
      undo.dispose();
      syncBuiltinESMExports();
    },
  };
}

/** Whether a file may come into being by opening it so. */
function creates(flags: unknown): boolean {
  return typeof flags === 'number'
    ? (flags & fs.constants.O_CREAT) !== 0
    : /[wa]/.test((flags as string | undefined) ?? 'r');
}
