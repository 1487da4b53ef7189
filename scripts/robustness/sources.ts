/** What the code is that results follow from, so that results of other code are not taken for its own. */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

/** SHA-256 over the TypeScript in these files and folders, each given relative to the repository. */
export function hashOfSources(places: readonly string[]): string {
  const root = join(import.meta.dirname, '..', '..');
  const hash = createHash('sha256');
  for (const place of places) {
    const whole = join(root, place);
    const files = statSync(whole).isDirectory()
      ? readdirSync(whole, { recursive: true, encoding: 'utf8' }).sort()
      : [''];
    for (const file of files) {
      if (place.endsWith('.ts') || file.endsWith('.ts')) hash.update(file).update(readFileSync(join(whole, file)));
    }
  }
  return hash.digest('hex');
}
