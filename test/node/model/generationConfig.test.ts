import assert from 'node:assert/strict';
import { cp, mkdtempDisposable, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openCheckpoint } from '../../../node/model/checkpoint.ts';
import { oracleFolder } from '../../oracle/oracleCase.ts';

describe('generation_config.json', () => {
  it('adds the end tokens that config.json lacks, after its own', async () => {
    const { config } = await openCheckpoint(join(oracleFolder('llama-linear'), 'model'));
    assert.deepEqual(config.eosTokenIds, [256, 257, 258]);
  });

  it('changes no identity, for it changes no log-probability; and is named when it makes no sense', async () => {
    await using folder = await mkdtempDisposable(join(tmpdir(), 'prefmesh-generation-'));
    const copy = join(folder.path, 'model');
    await cp(join(oracleFolder('llama'), 'model'), copy, { recursive: true });
    const before = await openCheckpoint(copy);
    const write = (text: string) => writeFile(join(copy, 'generation_config.json'), text);
    await write('{"eos_token_id": 7, "temperature": 0.6}');
    const after = await openCheckpoint(copy);
    assert.deepEqual(after.config.eosTokenIds, [256, 7]);
    assert.equal(after.hash, before.hash);
    await write('{"eos_token_id": "end"}');
    await assert.rejects(openCheckpoint(copy), {
      code: 'MODEL_CONFIG_INVALID',
      message: /generation_config\.json.*eos_token_id/,
    });
    await write('{');
    await assert.rejects(openCheckpoint(copy), { code: 'MODEL_CONFIG_INVALID', message: /generation_config\.json/ });
    await write('{}');
    assert.deepEqual((await openCheckpoint(copy)).config.eosTokenIds, [256]);
  });
});
