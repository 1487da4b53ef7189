import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readGguf } from '../export/ggufReading.ts';
import { failure, jsonLines } from './childProgram.ts';

const adapter = 'test/oracle/llama/adapter';
const model = 'test/oracle/llama/model';

describe('prefmesh adapter export', () => {
  let folder: string;
  before(() => (folder = mkdtempSync(join(tmpdir(), 'prefmesh-export-'))));
  after(() => rmSync(folder, { recursive: true, force: true }));

  const exported = (format: string, out: string, ...more: string[]) =>
    jsonLines<Record<string, unknown>>(
      ...['adapter', 'export', adapter, '--model', model, '--format', format, '--out', out, ...more],
    )[0]!;

  it('writes a PEFT folder of the dtype asked for', () => {
    const out = join(folder, 'peft');
    const facts = exported('peft', out, '--dtype', 'bfloat16');
    assert.deepEqual([facts.format, facts.dtype, facts.rank, facts.parameters], ['peft', 'bfloat16', 4, 1792]);
    const [inspected] = jsonLines<Record<string, unknown>>('adapter', 'inspect', out, '--model', model);
    assert.deepEqual([inspected!.dtypes, inspected!.alpha, inspected!.fits], [['BF16'], 4, model]);
  });

  it('writes GGUF with a Modelfile for Ollama beside it', () => {
    mkdirSync(join(folder, 'gguf'));
    writeFileSync(join(folder, 'base.gguf'), '');
    const out = join(folder, 'gguf', 'adapter.gguf');
    const facts = exported('gguf', out, '--dtype', 'float16', '--ollama', join(folder, 'base.gguf'));
    assert.equal(readGguf(out).tensors.size, 16);
    assert.equal(facts.modelfile, join(folder, 'gguf', 'Modelfile'));
    assert.equal(
      readFileSync(facts.modelfile as string, 'utf8'),
      'FROM ../base.gguf\nADAPTER ./adapter.gguf\nPARAMETER stop "<|endoftext|>"\n',
    );
    exported('gguf', out, '--ollama', 'smollm2:135m');
    assert.match(readFileSync(facts.modelfile as string, 'utf8'), /^FROM smollm2:135m\n/);
  });

  it('writes an MLX folder, but not over the PEFT folder it reads', () => {
    const out = join(folder, 'mlx');
    exported('mlx', out);
    assert.deepEqual(readdirSync(out).sort(), ['adapter_config.json', 'adapters.safetensors']);
    const args = ['adapter', 'export', adapter, '--model', model];
    assert.equal(failure(...args, '--format', 'mlx', '--out', adapter).code, 'USAGE');
    assert.equal(failure(...args, '--format', 'mlx', '--out', out, '--ollama', 'x').code, 'USAGE');
    assert.equal(failure(...args, '--format', 'onnx', '--out', out).code, 'USAGE');
  });
});
