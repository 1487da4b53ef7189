import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';

/** The pages that name a test for what they say. */
const PAGES = ['docs/reference/dpo-facts.md', 'docs/explanation/preference-training.md'];

interface Proof {
  readonly file: string;
  /** Of a title in it. */
  readonly words: string;
}

/**
 * The last cell of every row of a page's tables of facts: `file: words; more words; other/file: words`, where files
 * stand under `test/` or `test/node/`, without their ending.
 */
function proofsOf(page: string): Proof[] {
  const rows = readFileSync(page, 'utf8').matchAll(/^\|(?! ?-)(?:.*[^\\])?\|([^|]+)\|$/gm);
  return [...rows].flatMap(([, cell]) => {
    let file = '';
    return cell!.split(';').flatMap((part) => {
      const [, named, words] = /^\s*(?:([a-zA-Z/]+): )?(.+?)\s*$/.exec(part)!;
      file = named ?? file;
      return file === '' ? [] : [{ file, words: words! }];
    });
  });
}

function sourceOf(file: string): string {
  const found = [file, `node/${file}`]
    .flatMap((each) => [`test/${each}.test.ts`, `test/${each}.ts`])
    .find((each) => existsSync(each));
  assert.ok(found !== undefined, `no test file ${file}`);
  return readFileSync(found, 'utf8');
}

describe('pages that name tests', () => {
  for (const page of PAGES) {
    it(`name tests that there are: ${page}`, () => {
      const proofs = proofsOf(page);
      assert.ok(proofs.length > 20, `only ${proofs.length} proofs were found`);
      const missing = proofs.filter(({ file, words }) => !sourceOf(file).includes(words));
      assert.deepEqual(missing, []);
    });
  }
});
