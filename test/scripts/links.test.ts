import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '..', '..');
const pages = ['README.md', 'CONTRIBUTING.md', ...globSync('docs/**/*.md', { cwd: root })];

describe('the documents', () => {
  for (const page of pages) {
    it(`${page} links to nothing that is not there`, () => {
      const text = readFileSync(join(root, page), 'utf8');
      const targets = [...text.matchAll(/\]\((?!https?:)([^)#\s]+)(?:#[^)]*)?\)/g)].map((match) => match[1] ?? '');
      const missing = targets.filter((target) => !existsSync(join(root, dirname(page), target)));
      assert.deepEqual(missing, []);
    });
  }

  it('name no npm script and no file of scripts/ that does not exist', () => {
    const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { scripts: object };
    for (const page of pages) {
      const text = readFileSync(join(root, page), 'utf8');
      for (const [, script = ''] of text.matchAll(/npm run ([a-z]+)/g)) {
        assert.ok(Object.hasOwn(manifest.scripts, script), `${page}: npm run ${script}`);
      }
      for (const [, file = ''] of text.matchAll(/`(?:node )?(scripts\/[\w./-]+)`/g)) {
        assert.ok(existsSync(join(root, file)), `${page}: ${file}`);
      }
    }
  });
});
