import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readGguf } from '../export/ggufReading.ts';
import { failure, jsonLines } from './childProgram.ts';

describe('prefmesh model export', () => {
  let folder: string;
  before(() => (folder = mkdtempSync(join(tmpdir(), 'prefmesh-export-'))));
  after(() => rmSync(folder, { recursive: true, force: true }));

  it('writes one file, matrices as the model has them unless told otherwise', () => {
    const out = join(folder, 'new', 'model.gguf');
    const [facts] = jsonLines<Record<string, unknown>>('model', 'export', 'embedded', '--out', out);
    assert.deepEqual([facts!.format, facts!.out, facts!.dtype], ['gguf', out, 'float16']);
    const { metadata, tensors } = readGguf(out);
    assert.equal(tensors.size, facts!.tensors);
    assert.equal(metadata.get('prefmesh.base_sha256')!.value, facts!.sha256);
    const [wide] = jsonLines<Record<string, unknown>>(
      'model',
      'export',
      'embedded',
      '--out',
      out,
      '--dtype',
      'float32',
    );
    assert.deepEqual([wide!.dtype, readGguf(out).tensors.get('token_embd.weight')!.type], ['float32', 0]);
  });

  it('writes nothing for a model that llama.cpp would run otherwise', () => {
    const model = join(folder, 'lower');
    cpSync('test/oracle/llama/model', model, { recursive: true });
    const file = join(model, 'tokenizer.json');
    const json = JSON.parse(readFileSync(file, 'utf8')) as object;
    writeFileSync(file, JSON.stringify({ ...json, normalizer: { type: 'Lowercase' } }));
    const { code, exit } = failure('model', 'export', model, '--out', join(folder, 'refused.gguf'));
    assert.deepEqual([code, exit], ['EXPORT_UNSUPPORTED', 3]);
    assert.throws(() => readFileSync(join(folder, 'refused.gguf')), { code: 'ENOENT' });
  });
});
