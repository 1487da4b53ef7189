import assert from 'node:assert/strict';
import { mkdtempDisposable, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeMlxAdapter } from '../../../node/export/mlxAdapter.ts';
import { openCheckpoint } from '../../../node/model/checkpoint.ts';
import { readSafetensorsIndex, readTensor } from '../../../node/model/safetensors.ts';
import { readPeftAdapter } from '../../../node/training/peft.ts';

describe('adapter as MLX folder', () => {
  it('changes a projection by what the PEFT folder says', async () => {
    await using folder = await mkdtempDisposable(join(tmpdir(), 'prefmesh-mlx-'));
    const { config } = await openCheckpoint('test/oracle/llama/model');
    const adapter = await readPeftAdapter('test/oracle/llama/adapter', config);
    await writeMlxAdapter(folder.path, adapter, config, { dtype: 'F32', baseModel: 'tiny' });
    assert.deepEqual(JSON.parse(await readFile(join(folder.path, 'adapter_config.json'), 'utf8')), {
      fine_tune_type: 'lora',
      lora_parameters: {
        dropout: 0,
        keys: ['self_attn.q_proj', 'self_attn.k_proj', 'self_attn.v_proj', 'self_attn.o_proj'],
        rank: 4,
        scale: 1,
      },
      model: 'tiny',
      num_layers: 2,
    });
    const mlx = readSafetensorsIndex(join(folder.path, 'adapters.safetensors')).tensors;
    const peft = readSafetensorsIndex('test/oracle/llama/adapter/adapter_model.safetensors').tensors;
    assert.equal(mlx.size, peft.size);
    for (const target of ['q_proj', 'k_proj', 'v_proj', 'o_proj']) {
      const name = `model.layers.1.self_attn.${target}`;
      const [a, b] = [mlx.get(`${name}.lora_a`)!, mlx.get(`${name}.lora_b`)!];
      assert.deepEqual(a.shape, [32, 4]);
      assert.equal(b.shape[0], 4);
      const [A, B] = [
        readTensor(peft.get(`base_model.model.${name}.lora_A.weight`)!),
        readTensor(peft.get(`base_model.model.${name}.lora_B.weight`)!),
      ];
      const [aValues, bValues] = [readTensor(a), readTensor(b)];
      const out = b.shape[1]!;
      // (x a) b for x the unit vector of column c, against alpha / rank · B A x.
      for (let column = 0; column < 32; column++) {
        for (let row = 0; row < out; row++) {
          let [mine, theirs] = [0, 0];
          for (let k = 0; k < 4; k++) {
            mine += aValues[column * 4 + k]! * bValues[k * out + row]!;
            theirs += (8 / 4) * B[row * 4 + k]! * A[k * 32 + column]!;
          }
          assert.ok(Math.abs(mine - theirs) < 1e-9, `${target} ${row} ${column}: ${mine}, ${theirs}`);
        }
      }
    }
  });
});
