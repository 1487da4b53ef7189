import assert from 'node:assert/strict';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openCheckpoint } from '../../../node/model/checkpoint.ts';
import { initialAdapter } from '../../../node/training/adapter.ts';
import { inspectAdapter } from '../../../node/training/adapterInspection.ts';
import { readPeftAdapter, writePeftAdapter } from '../../../node/training/peft.ts';

describe('adapter inspection', () => {
  it('tells rank, projections and size of a folder made elsewhere', async () => {
    const { sha256, norm, ...facts } = await inspectAdapter('test/oracle/llama/adapter');
    assert.deepEqual(facts, {
      rank: 4,
      alpha: 8,
      targets: facts.targets,
      layers: 2,
      parameters: 1792,
      dtypes: ['F32'],
      bytes: 7168,
      base_sha256: null,
    });
    assert.deepEqual([...facts.targets].sort(), ['k_proj', 'o_proj', 'q_proj', 'v_proj']);
    assert.match(sha256, /^[0-9a-f]{64}$/);
    assert.ok(norm > 0);
  });

  it('measures the change as a whole, scale and both factors', async () => {
    const checkpoint = await openCheckpoint('test/oracle/llama/model');
    const adapter = await readPeftAdapter('test/oracle/llama/adapter', checkpoint.config);
    // The plain way: form every B A and sum its squares.
    let squares = 0;
    for (const a of adapter.table.filter(({ factor }) => factor === 'A')) {
      const b = adapter.table.find(({ name }) => name === a.name.replace('lora_A', 'lora_B'))!;
      for (let row = 0; row < b.shape[0]; row++) {
        for (let column = 0; column < a.shape[1]; column++) {
          let sum = 0;
          for (let k = 0; k < 4; k++) {
            sum += adapter.vector[b.offset + row * 4 + k]! * adapter.vector[a.offset + k * a.shape[1] + column]!;
          }
          squares += (2 * sum) ** 2;
        }
      }
    }
    const { norm } = await inspectAdapter('test/oracle/llama/adapter');
    assert.ok(Math.abs(norm / Math.sqrt(squares) - 1) < 1e-9, `${norm}, ${Math.sqrt(squares)}`);
  });

  it('tells the base that an own export names', async () => {
    await using folder = await mkdtempDisposable(join(tmpdir(), 'prefmesh-inspect-'));
    const { config, hash } = await openCheckpoint('test/oracle/llama/model');
    const adapter = { ...initialAdapter(config, { rank: 2, targets: ['up_proj'] }, 8, 0), baseHash: hash };
    await writePeftAdapter(folder.path, adapter, { baseModel: 'tiny' });
    const facts = await inspectAdapter(folder.path);
    assert.equal(facts.base_sha256, hash);
    assert.equal(facts.norm, 0);
    assert.deepEqual(facts.targets, ['up_proj']);
  });
});
