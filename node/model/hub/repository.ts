/**
 * What a hub says about a model: which commit a revision is now, its licence, and its files with their hashes.
 *
 * Nothing of it is trusted: names must be plain, sizes and hashes well formed. What is fetched later is held against
 * these hashes.
 */
import { listFiles, modelInfo } from '@huggingface/hub';
import { z } from 'zod';
import { PrefmeshError } from '../../../protocol/errors.ts';
import { LIMITS } from '../../../protocol/limits.ts';
import type { HubConnection } from './connection.ts';

/** How content is named: SHA-256 of the bytes for large files, git's blob hash (SHA-1) for the others. */
export interface ContentHash {
  readonly algorithm: 'sha256' | 'git-sha1';
  /** Lower-case hex. */
  readonly hex: string;
}

export interface HubFile {
  /** Name in the repository's root folder. */
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  readonly hash: ContentHash;
}

export interface Licence {
  /** SPDX-like identifier or the maker's own name for it; null where the repository names none. */
  readonly id: string | null;
  /** Where its text is, if the repository says so. */
  readonly link: string | null;
}

export interface HubModel {
  /** As the hub spells it, `maker/name`. */
  readonly id: string;
  /** Branch, tag or commit that was asked for. */
  readonly revision: string;
  /** The commit it stands for now, lower-case hex. */
  readonly commit: string;
  readonly licence: Licence;
  /** Whether the maker asks for agreement to terms before files are given out. */
  readonly gated: boolean;
  /** The files of the root folder. */
  readonly files: readonly HubFile[];
}

/** `maker/name`, or a name alone, in the characters that the hub allows. */
const MODEL_ID = /^[A-Za-z0-9][\w.-]{0,95}(\/[A-Za-z0-9][\w.-]{0,95})?$/;
const REVISION = /^(?!.*\.\.)[A-Za-z0-9][\w./-]{0,127}$/;

const hex = (length: number) => z.string().regex(new RegExp(`^[0-9a-f]{${length}}$`));
const text = z.string().max(500);
const infoSchema = z.looseObject({
  sha: hex(40),
  gated: z.union([z.literal(false), z.enum(['auto', 'manual'])]).default(false),
  cardData: z
    .looseObject({
      license: z.union([text, z.array(text)]).nullish(),
      license_name: text.nullish(),
      license_link: text.nullish(),
    })
    .nullish(),
});
const size = z.int().nonnegative().max(Number.MAX_SAFE_INTEGER);
const entrySchema = z.looseObject({
  type: z.string(),
  path: z.string(),
  size,
  oid: hex(40).optional(),
  lfs: z.looseObject({ oid: hex(64), size }).nullish(),
});

/**
 * Asks the hub about a model.
 *
 * @throws USAGE for an id or revision that cannot be one; HUB_MODEL_MISSING, HUB_REVISION_MISSING, HUB_TOKEN_REFUSED,
 * HUB_REFUSED, HUB_UNREACHABLE, HUB_BUSY, HUB_ANSWER_UNUSABLE
 */
export async function askForModel(hub: HubConnection, id: string, revision: string): Promise<HubModel> {
  if (!MODEL_ID.test(id) || id.includes('..') || id.includes('--')) {
    const problem = `${JSON.stringify(id.slice(0, 120))} is no id of a model`;
    throw new PrefmeshError('USAGE', { problem, hint: 'name it as its page does, such as HuggingFaceTB/SmolLM2-135M' });
  }
  if (!REVISION.test(revision)) {
    const problem = `${JSON.stringify(revision.slice(0, 120))} is no revision`;
    throw new PrefmeshError('USAGE', { problem, hint: 'pass --revision with a branch, a tag or a commit' });
  }
  try {
    return await readModel(hub, id, revision);
  } catch (error) {
    // The library trusts the shape of what it is given, and stumbles over another one.
    if (error instanceof TypeError) throw unusable(hub, 'it has another form than expected', error);
    throw error;
  }
}

async function readModel(hub: HubConnection, id: string, revision: string): Promise<HubModel> {
  const asked = { fetch: hub.fetchFor({ model: id, revision }), hubUrl: hub.endpoint };
  const info = infoSchema.safeParse(
    await modelInfo({ ...asked, name: id, revision, additionalFields: ['sha', 'cardData'] }),
  );
  if (!info.success) throw unusable(hub, `its description of ${id} lacks ${info.error.issues[0]?.path.join('.')}`);
  const { sha: commit, gated, cardData } = info.data;
  const named = Array.isArray(cardData?.license) ? cardData.license.join(', ') : cardData?.license;
  const licence = {
    // `other` says that the licence has a name of its own.
    id: (named === 'other' ? cardData?.license_name : undefined) ?? named ?? null,
    link: cardData?.license_link ?? null,
  };
  // Files are listed by commit, so that a branch that moves meanwhile cannot mix two of its states.
  const files: HubFile[] = [];
  let entries = 0;
  for await (const entry of listFiles({ ...asked, repo: { type: 'model', name: id }, revision: commit })) {
    if (++entries > LIMITS.hubFiles.value) throw unusable(hub, `it lists more than ${LIMITS.hubFiles.value} files`);
    const file = readEntry(hub, entry);
    if (file !== undefined) files.push(file);
  }
  refuseTwins(hub, files);
  return { id, revision, commit, licence, gated: gated !== false, files };
}

/** A listed file, or undefined for a folder. */
function readEntry(hub: HubConnection, listed: unknown): HubFile | undefined {
  const entry = entrySchema.safeParse(listed);
  if (!entry.success) throw unusable(hub, `its list of files lacks ${entry.error.issues[0]?.path.join('.')}`);
  const { type, path, oid, lfs } = entry.data;
  if (!isPlainName(path)) throw unusable(hub, `it lists a file under the name ${JSON.stringify(path.slice(0, 100))}`);
  if (type !== 'file') return undefined;
  if (lfs != null) return { name: path, size: lfs.size, hash: { algorithm: 'sha256', hex: lfs.oid } };
  if (oid === undefined) throw unusable(hub, `it gives no hash for ${path}`);
  return { name: path, size: entry.data.size, hash: { algorithm: 'git-sha1', hex: oid } };
}

/** Whether a name of the root folder stays in it, on every system. */
function isPlainName(name: string): boolean {
  if (name === '.' || name === '..' || name.length > 255 || /^[A-Za-z]:/.test(name)) return false;
  for (let at = 0; at < name.length; at++) {
    const character = name.charAt(at);
    if (character === '/' || character === '\\' || character < ' ') return false;
  }
  return true;
}

/** Two names that one file system could take for the same file. */
function refuseTwins(hub: HubConnection, files: readonly HubFile[]): void {
  const seen = new Set<string>();
  for (const { name } of files) {
    const folded = name.normalize('NFC').toLowerCase();
    if (seen.has(folded)) throw unusable(hub, `it lists ${JSON.stringify(name)} twice`);
    seen.add(folded);
  }
}

function unusable(hub: HubConnection, problem: string, cause?: unknown): PrefmeshError {
  return new PrefmeshError('HUB_ANSWER_UNUSABLE', { endpoint: hub.endpoint, problem }, { cause });
}
