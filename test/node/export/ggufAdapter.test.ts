import assert from 'node:assert/strict';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeGgufAdapter } from '../../../node/export/ggufAdapter.ts';
import { openCheckpoint } from '../../../node/model/checkpoint.ts';
import { initialAdapter, type Adapter } from '../../../node/training/adapter.ts';
import { TARGET_MODULES } from '../../../node/training/adapterVector.ts';
import { readPeftAdapter } from '../../../node/training/peft.ts';
import { readGguf, type ReadGguf } from './ggufReading.ts';

const llama = await openCheckpoint('test/oracle/llama/model');
const qwen2 = await openCheckpoint('test/oracle/qwen2/model');

async function written(adapter: Adapter, config = llama.config): Promise<ReadGguf> {
  await using folder = await mkdtempDisposable(join(tmpdir(), 'prefmesh-gguf-'));
  const file = join(folder.path, 'adapter.gguf');
  await writeGgufAdapter(file, adapter, config, { dtype: 'F32', baseModel: 'tiny' });
  return readGguf(file);
}

/** A tensor of the adapter as rows. */
function rowsOf(adapter: Adapter, name: string): Float32Array[] {
  const { offset, shape } = adapter.table.find((entry) => entry.name === name)!;
  return Array.from({ length: shape[0] }, (_, row) => {
    return adapter.vector.slice(offset + row * shape[1], offset + (row + 1) * shape[1]);
  });
}

const path = 'base_model.model.model.layers.1';

describe('adapter as GGUF', () => {
  it('says what llama.cpp asks of an adapter', async () => {
    const adapter = { ...(await readPeftAdapter('test/oracle/llama/adapter', llama.config)), baseHash: llama.hash };
    const { metadata } = await written(adapter);
    const value = (key: string) => metadata.get(key)?.value;
    assert.equal(value('general.architecture'), 'llama');
    assert.equal(value('general.type'), 'adapter');
    assert.equal(value('adapter.type'), 'lora');
    assert.deepEqual(metadata.get('adapter.lora.alpha'), { type: 'f32', value: 4 });
    assert.equal(value('prefmesh.base_sha256'), llama.hash);
    const own = await readPeftAdapter('test/oracle/qwen2/adapter', qwen2.config);
    assert.equal((await written(own, qwen2.config)).metadata.get('general.architecture')!.value, 'qwen2');
  });

  it('has two tensors for each projection, under the names of llama.cpp', async () => {
    const adapter = initialAdapter(llama.config, { rank: 3, targets: TARGET_MODULES }, 3, 0);
    const { tensors } = await written(adapter);
    const names = ['attn_q', 'attn_k', 'attn_v', 'attn_output', 'ffn_gate', 'ffn_up', 'ffn_down'];
    assert.deepEqual(
      [...tensors.keys()],
      [0, 1].flatMap((layer) =>
        names.flatMap((name) => ['a', 'b'].map((f) => `blk.${layer}.${name}.weight.lora_${f}`)),
      ),
    );
    assert.deepEqual(tensors.get('blk.0.ffn_down.weight.lora_a')!.sides, [64, 3]);
    assert.deepEqual(tensors.get('blk.0.ffn_down.weight.lora_b')!.sides, [3, 32]);
  });

  it('folds the scale into B and leaves A as it is', async () => {
    const adapter = await readPeftAdapter('test/oracle/llama/adapter', llama.config);
    const { tensors } = await written(adapter);
    const expectA = rowsOf(adapter, `${path}.self_attn.v_proj.lora_A.weight`).flatMap((row) => [...row]);
    const expectB = rowsOf(adapter, `${path}.self_attn.v_proj.lora_B.weight`).flatMap((row) => [...row]);
    assert.deepEqual([...tensors.get('blk.1.attn_v.weight.lora_a')!.values], expectA);
    assert.deepEqual(
      [...tensors.get('blk.1.attn_v.weight.lora_b')!.values],
      expectB.map((value) => 2 * value), // alpha 8 at rank 4
    );
  });

  it('interleaves the halves of each head in B of q and k for the llama architecture only', async () => {
    const llamaAdapter = await readPeftAdapter('test/oracle/llama/adapter', llama.config);
    const { tensors } = await written(llamaAdapter);
    // Heads of width 8: row 0 of a head stays, row 1 is the first of the second half, and so on.
    const order = [0, 4, 1, 5, 2, 6, 3, 7];
    for (const [target, name, heads] of [
      ['q_proj', 'attn_q', 4],
      ['k_proj', 'attn_k', 2],
    ] as const) {
      const rows = rowsOf(llamaAdapter, `${path}.self_attn.${target}.lora_B.weight`);
      const expected = Array.from({ length: heads }, (_, head) => order.map((row) => rows[8 * head + row]!)).flat();
      assert.deepEqual(
        [...tensors.get(`blk.1.${name}.weight.lora_b`)!.values],
        expected.flatMap((row) => [...row].map((value) => 2 * value)),
      );
    }
    const qwenAdapter = await readPeftAdapter('test/oracle/qwen2/adapter', qwen2.config);
    const plain = await written({ ...qwenAdapter, alpha: qwenAdapter.rank }, qwen2.config);
    assert.deepEqual(
      [...plain.tensors.get('blk.1.attn_q.weight.lora_b')!.values],
      rowsOf(qwenAdapter, `${path}.self_attn.q_proj.lora_B.weight`).flatMap((row) => [...row]),
    );
  });

  it('is refused for a family that llama.cpp has no name for', async () => {
    const adapter = initialAdapter(llama.config, { rank: 1, targets: ['q_proj'] }, 1, 0);
    const config = { ...llama.config, family: 'other' as 'llama' };
    await assert.rejects(written(adapter, config), { code: 'EXPORT_UNSUPPORTED' });
  });
});
