/** Reading the JSON text files of a model folder, bounded before they are read. */
import { readFile, stat } from 'node:fs/promises';
import { LIMITS } from '../../protocol/limits.ts';

export type JsonFile = { readonly found: true; readonly json: unknown } | { readonly found: false };

/**
 * Reads and parses a JSON file of a model folder.
 *
 * @param invalid makes the error for a file that is there but too large or not JSON; it is told what is wrong
 */
export async function readJsonFile(
  file: string,
  invalid: (problem: string, cause?: unknown) => Error,
): Promise<JsonFile> {
  const size = await fileSize(file);
  if (size === undefined) return { found: false };
  if (size > LIMITS.modelTextFile.value)
    throw invalid(`is ${size} bytes long, over the ${LIMITS.modelTextFile.value} that are read`);
  const text = await readFile(file, 'utf8');
  try {
    return { found: true, json: JSON.parse(text) };
  } catch (cause) {
    throw invalid('is not JSON', cause);
  }
}

/** Size in bytes of a regular file, or undefined where there is none. */
export async function fileSize(file: string): Promise<number | undefined> {
  const status = await stat(file).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined;
    throw error;
  });
  return status?.isFile() ? status.size : undefined;
}
