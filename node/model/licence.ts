/**
 * The licence that a model folder states: the front matter of its README.md.
 *
 * Only the one key is read, `license: apache-2.0`, as model cards have it; a card that writes it in another YAML form
 * counts as not stating it. Source: Hugging Face Hub documentation, "Model Cards".
 */
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { readRange } from '../storage/reading.ts';

/** Front matter stands at the beginning; this much of the file is looked at. */
const READ_BYTES = 64 * 1024;

/** The identifier as the card has it, `apache-2.0` for one; null where there is no card, or none that says. */
export async function licenceOf(folder: string): Promise<string | null> {
  const file = await open(join(folder, 'README.md'), 'r').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null;
    throw error;
  });
  if (file === null) return null;
  try {
    return statedLicence(new TextDecoder().decode(await readRange(file, 0, READ_BYTES)));
  } finally {
    await file.close();
  }
}

/** The licence in the front matter of a model card, or null. `other` gives way to the name that the card has for it. */
function statedLicence(card: string): string | null {
  const matter = /^---\r?\n([\s\S]*?)\r?\n---/.exec(card)?.[1];
  if (matter === undefined) return null;
  const valueOf = (key: string) =>
    new RegExp(`^${key}:[ \\t]*["']?([\\w][\\w .-]{0,99}?)["']?[ \\t]*\\r?$`, 'm').exec(matter)?.[1];
  const named = valueOf('license');
  return (named === 'other' ? valueOf('license_name') : undefined) ?? named ?? null;
}
