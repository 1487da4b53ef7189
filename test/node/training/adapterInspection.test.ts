import assert from 'node:assert/strict';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openCheckpoint } from '../../../node/model/checkpoint.ts';
import { initialAdapter } from '../../../node/training/adapter.ts';
import { adapterPortability } from '../../../node/training/adapterPortability.ts';
import { inspectAdapter } from '../../../node/training/adapterInspection.ts';
import { readPeftAdapter, writePeftAdapter } from '../../../node/training/peft.ts';

describe('adapter inspection', () => {
  it('tells rank, projections and size of a folder made elsewhere', async () => {
    const { sha256, norm, modules, portability, ...facts } = await inspectAdapter('test/oracle/llama/adapter');
    assert.deepEqual(facts, {
      rank: 4,
      alpha: 8,
      targets: facts.targets,
      layers: 2,
      parameters: 1792,
      dtypes: ['F32'],
      bytes: 7168,
      finite: true,
      base_sha256: null,
    });
    assert.deepEqual([...facts.targets].sort(), ['k_proj', 'o_proj', 'q_proj', 'v_proj']);
    assert.match(sha256, /^[0-9a-f]{64}$/);
    assert.ok(norm > 0);
    assert.deepEqual(
      modules.map(({ module }) => module),
      [0, 1].flatMap((layer) => ['k', 'o', 'q', 'v'].map((name) => `layers.${layer}.self_attn.${name}_proj`)),
    );
    const squares = modules.reduce((sum, module) => sum + module.norm ** 2, 0);
    assert.ok(Math.abs(Math.sqrt(squares) / norm - 1) < 1e-12);
    assert.deepEqual(
      portability.filter(({ loads }) => loads).map(({ program }) => program),
      ['PEFT', 'vLLM', 'llama.cpp', 'Ollama'],
    );
  });

  it('tells which programs would load another folder wrongly, or not at all', () => {
    const plain = { rank: 4, alpha: 8, givenAlpha: 8, rankStabilised: false, mayLeaveOut: () => false };
    const loads = (config: object, plainKeys = true) =>
      adapterPortability({ ...plain, ...config }, plainKeys).flatMap((each) => (each.loads ? [each.program] : []));
    assert.deepEqual(loads({ rankStabilised: true }), ['PEFT', 'vLLM']);
    assert.deepEqual(loads({ givenAlpha: 2.5 }), ['PEFT', 'vLLM', 'llama.cpp']);
    assert.deepEqual(loads({}, false), []);
    assert.match(adapterPortability({ ...plain, rank: 64 }, true)[1]!.note!, /--max-lora-rank 64/);
  });

  it('tells a folder whose numbers are not finite', async () => {
    await using folder = await mkdtempDisposable(join(tmpdir(), 'prefmesh-inspect-'));
    const { config } = await openCheckpoint('test/oracle/llama/model');
    const adapter = initialAdapter(config, { rank: 2, targets: ['up_proj'] }, 8, 0);
    adapter.vector[3] = NaN;
    await writePeftAdapter(folder.path, adapter, { baseModel: 'tiny' });
    assert.equal((await inspectAdapter(folder.path)).finite, false);
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
