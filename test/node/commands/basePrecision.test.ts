import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openCheckpoint } from '../../../node/model/checkpoint.ts';
import { QUANTIZATION_SCHEMES } from '../../../node/model/quantization/scheme.ts';
import { readSafetensorsIndex } from '../../../node/model/safetensors.ts';
import { readPeftAdapter } from '../../../node/training/peft.ts';
import type { StepMetrics } from '../../../node/training/metrics.ts';
import { failure, jsonLines, prefmesh } from './childProgram.ts';

const model = 'test/oracle/llama/model';
const pairs = 'test/oracle/llama/pairs.jsonl';

interface Facts {
  readonly sha256: string;
  readonly base_sha256: string;
  readonly file: string;
  readonly matrices: number;
  readonly weights: number;
  readonly bits_per_weight: number;
}
interface Score {
  readonly chosen: number;
}

describe('commands over a base in 4 bits', function () {
  this.timeout(120_000);
  let home: string;
  before(() => (home = mkdtempSync(join(tmpdir(), 'prefmesh-precision-'))));
  after(() => rmSync(home, { recursive: true, force: true }));

  const quantize = (scheme: string, ...rest: string[]): Facts =>
    jsonLines<Facts>('model', 'quantize', model, '--scheme', scheme, '--home', home, ...rest)[0]!;
  const score = (name: string, ...rest: string[]): Score =>
    jsonLines<Score>('score', '--model', name, '--pairs', pairs, '--home', home, '--threads', '1', ...rest)[0]!;

  for (const scheme of QUANTIZATION_SCHEMES) {
    it(`quantise to ${scheme} once, and write a folder that is the same model`, () => {
      const out = join(home, `model-${scheme}`);
      const facts = quantize(scheme, '--out', out);
      assert.deepEqual([facts.matrices, facts.weights], [14, 2 * (2 * 32 * 32 + 2 * 16 * 32 + 3 * 64 * 32)]);
      assert.equal(quantize(scheme).sha256, facts.sha256);
      const [inCache, inFolder] = [score(model, '--base-precision', scheme), score(out)];
      assert.deepEqual(inFolder, inCache);
      assert.notEqual(inCache.chosen, score(model).chosen);
      assert.deepEqual(score(out, '--base-precision', scheme), inCache);
      const other = QUANTIZATION_SCHEMES.find((each) => each !== scheme)!;
      const refused = failure('score', '--model', out, '--pairs', pairs, '--home', home, '--base-precision', other);
      assert.deepEqual([refused.code, refused.exit], ['USAGE', 2]);
      const [seen] = jsonLines<{ parameters: number; dtypes: string[] }>('model', 'inspect', out, '--home', home);
      const [original] = jsonLines<{ parameters: number }>('model', 'inspect', model, '--home', home);
      assert.equal(seen!.parameters, original!.parameters);
      assert.deepEqual(seen!.dtypes, ['F32', scheme]);
    });
  }

  it('train over it, and write into the adapter what it was trained on', async () => {
    const out = join(home, 'adapter');
    const train = (...rest: string[]) =>
      jsonLines<StepMetrics>(
        ...['train', '--model', model, '--pairs', pairs, '--out', out, '--home', home, '--threads', '1'],
        ...['--rank', '2', '--steps', '2', ...rest],
      );
    const [first] = train('--base-precision', 'nf4');
    assert.ok(Math.abs(first!.loss - Math.LN2) < 1e-7);
    assert.equal(first!['rewards/margins'], 0);
    const { sha256, base_sha256: base } = quantize('nf4');
    const adapter = await readPeftAdapter(out, (await openCheckpoint(model)).config);
    assert.deepEqual([adapter.baseHash, adapter.baseQuantization], [base, { scheme: 'nf4', sha256 }]);
    assert.match(readFileSync(join(out, 'README.md'), 'utf8'), new RegExp(`nf4, 4 bits.*${sha256}`));
    const { metadata } = readSafetensorsIndex(join(out, 'adapter_model.safetensors'));
    assert.equal(metadata['base_quantization'], `nf4 ${sha256}`);

    // The reference over the full base is another; margins that begin at zero show that it was not taken from the cache.
    const again = join(home, 'full');
    const [full] = jsonLines<StepMetrics>(
      ...['train', '--model', model, '--pairs', pairs, '--out', again, '--home', home, '--threads', '1'],
      ...['--rank', '2', '--steps', '1'],
    );
    assert.equal(full!['rewards/margins'], 0);
    assert.notEqual(full!['logps/chosen'], first!['logps/chosen']);

    const text = ['generate', '--model', model, '--home', home, '--prompt', 'Hello', '--max-tokens', '4'];
    const onOther = prefmesh(...text, '--adapter', out);
    assert.match(onOther.stderr, /trained on its base at --base-precision nf4/);
    const onOwn = prefmesh(...text, '--adapter', out, '--base-precision', 'nf4');
    assert.doesNotMatch(onOwn.stderr, /base-precision/);
  });

  it('make a damaged file again, and say so', () => {
    const { file, sha256 } = quantize('int4');
    const bytes = readFileSync(file);
    bytes[bytes.length - 1]! ^= 1;
    writeFileSync(file, bytes);
    const { stderr } = prefmesh('model', 'quantize', model, '--scheme', 'int4', '--home', home);
    assert.ok(stderr.includes(`${file} is damaged`), stderr);
    assert.equal(quantize('int4').sha256, sha256);
  });

  it('refuse a checkpoint quantised in another way', () => {
    const folder = join(home, 'other');
    cpSync(model, folder, { recursive: true });
    const config = JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8')) as object;
    const quantization_config = { quant_method: 'gptq', bits: 4 };
    writeFileSync(join(folder, 'config.json'), JSON.stringify({ ...config, quantization_config }));
    assert.equal(failure('model', 'inspect', folder).code, 'MODEL_UNSUPPORTED');
  });
});
