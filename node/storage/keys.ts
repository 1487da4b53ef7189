/**
 * The node's Ed25519 identity on disk: one JSON file of mode 0600, made once and never replaced on its own accord.
 *
 * The file holds the seed and the id that follows from it, so that any flipped bit is noticed. A damaged,
 * exposed or missing key is an error that names the file: a new key would be a new identity that no federation knows.
 */
import { randomBytes } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { z } from 'zod';
import { PrefmeshError } from '../../protocol/errors.ts';
import { type Identity, SEED_BYTES, identityFromSeed } from '../../protocol/identity.ts';
import { naming, storageError, writeFileAtomic } from './atomicFile.ts';
import type { DataFolder } from './dataFolder.ts';

const FORMAT = 'prefmesh-ed25519-1';

const KeyFile = z.strictObject({
  format: z.literal(FORMAT),
  seed: z.string().regex(/^[0-9a-f]{64}$/),
  id: z.string(),
});

/**
 * The identity of a data folder; made on the first start, before there is any other state.
 * @throws KEY_CORRUPT, KEY_EXPOSED, KEY_MISSING, DISK_FULL, STORAGE_FAILED
 */
export async function openIdentity(folder: DataFolder): Promise<Identity> {
  const file = folder.paths.identityKey;
  const stored = await readIdentity(file);
  if (stored !== undefined) return stored;
  if (folder.hadState) throw new PrefmeshError('KEY_MISSING', { file });
  const seed = randomBytes(SEED_BYTES);
  const identity = identityFromSeed(seed);
  const content: z.input<typeof KeyFile> = { format: FORMAT, seed: seed.toString('hex'), id: identity.id };
  await writeFileAtomic(file, `${JSON.stringify(content)}\n`, { mode: 0o600 });
  return identity;
}

/** The key in a file, or undefined where there is no file. @throws KEY_CORRUPT, KEY_EXPOSED, STORAGE_FAILED */
export async function readIdentity(file: string): Promise<Identity | undefined> {
  const status = await stat(file).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw storageError(error, file);
  });
  if (status === undefined) return undefined;
  const mode = status.mode & 0o777;
  if (process.platform !== 'win32' && (mode & 0o077) !== 0) {
    throw new PrefmeshError('KEY_EXPOSED', { file, mode: mode.toString(8).padStart(4, '0') });
  }
  const text = await naming(file, () => readFile(file, 'utf8'));
  const content = KeyFile.safeParse(parseJson(text));
  if (!content.success) throw new PrefmeshError('KEY_CORRUPT', { file, problem: `not a ${FORMAT} file` });
  const identity = identityFromSeed(Buffer.from(content.data.seed, 'hex'));
  if (identity.id !== content.data.id) {
    throw new PrefmeshError('KEY_CORRUPT', { file, problem: 'its id does not follow from its seed' });
  }
  return identity;
}

/** Undefined for what is not JSON; the text itself is secret and goes into no error. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
