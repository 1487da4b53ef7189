import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readPrompts } from '../../../node/preferences/prompts.ts';
import { isPrefmeshError } from '../../../protocol/errors.ts';

describe('a file of prompts', () => {
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'prefmesh-prompts-'));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  function file(content: string | Buffer): string {
    const path = join(folder, 'prompts.jsonl');
    writeFileSync(path, content);
    return path;
  }

  async function refusedAt(content: string | Buffer, line: number, problem: RegExp): Promise<void> {
    const path = file(content);
    await assert.rejects(readPrompts(path), (error) => {
      assert.ok(isPrefmeshError(error, 'PAIRS_INVALID'), String(error));
      assert.equal(error.details.file, path);
      assert.equal(error.details.line, line);
      assert.match(error.message, problem);
      assert.doesNotMatch(error.message, /secret/);
      return true;
    });
  }

  it('gives its prompts in order, blank lines and other fields aside', async () => {
    const lines = ['{"prompt":"one"}', '', '{"prompt":"two","chosen":"a","rejected":"b","id":"x"}', ''];
    assert.deepEqual(await readPrompts(file(lines.join('\r\n'))), ['one', 'two']);
  });

  it('is refused with line and reason, and without its text', async () => {
    await refusedAt('{"prompt":"one"}\n{"prompt":"secret', 2, /is not JSON/);
    await refusedAt('{"prompt":"one"}\n\n{"question":"secret"}', 3, /missing/);
    await refusedAt('{"prompt":""}', 1, /empty/);
    await refusedAt('{"prompt":["secret"]}', 1, /neither text nor messages/);
    await refusedAt('{"prompt":[{"role":"user","content":"secret"}]}', 1, /no chat template/);
    await refusedAt(Buffer.from([0x7b, 0xff, 0x7d]), 1, /UTF-8/);
  });

  it('is refused when it is missing or has no prompt', async () => {
    await assert.rejects(readPrompts(join(folder, 'nowhere')), (error) => isPrefmeshError(error, 'FILE_MISSING'));
    await assert.rejects(readPrompts(file('\n\n')), (error) => isPrefmeshError(error, 'PAIRS_NONE'));
  });
});
