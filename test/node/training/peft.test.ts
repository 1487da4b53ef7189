import assert from 'node:assert/strict';
import { spawnSync, type SpawnSyncReturns } from 'node:child_process';
import { cp, mkdtempDisposable, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openCheckpoint, type Checkpoint } from '../../../node/model/checkpoint.ts';
import {
  readSafetensorsIndex,
  readTensor,
  writeSafetensors,
  type NamedTensor,
} from '../../../node/model/safetensors.ts';
import { factorRanges, initialAdapter, type Adapter } from '../../../node/training/adapter.ts';
import { TARGET_MODULES } from '../../../node/training/adapterVector.ts';
import { readPeftAdapter, writePeftAdapter } from '../../../node/training/peft.ts';
import { Policy } from '../../../node/training/policy.ts';

const llama = await openCheckpoint('test/oracle/llama/model');
const qwen2 = await openCheckpoint('test/oracle/qwen2/model');
const temporary = () => mkdtempDisposable(join(tmpdir(), 'prefmesh-peft-'));

/** A copy of the oracle's adapter with its configuration or tensors changed, read as an adapter of the oracle's model. */
async function readChanged(config: object, tensors?: (all: NamedTensor[]) => NamedTensor[]): Promise<Adapter> {
  await using folder = await temporary();
  await cp('test/oracle/llama/adapter', folder.path, { recursive: true });
  const configFile = join(folder.path, 'adapter_config.json');
  const before = JSON.parse(await readFile(configFile, 'utf8')) as object;
  await writeFile(configFile, JSON.stringify({ ...before, ...config }));
  if (tensors !== undefined) {
    const file = join(folder.path, 'adapter_model.safetensors');
    const all = [...readSafetensorsIndex(file).tensors.values()].map((location) => {
      return { name: location.name, shape: location.shape, data: readTensor(location) };
    });
    await writeSafetensors(file, tensors(all));
  }
  return await readPeftAdapter(folder.path, llama.config);
}

const faultOf = (part: string) => (error: { code: string; details: { part?: string } }) => {
  assert.equal(error.code, 'ADAPTER_INVALID');
  assert.equal(error.details.part, part);
  return true;
};

describe('PEFT folder', () => {
  it('is read with its rank, scale, projections and values', async () => {
    const adapter = await readPeftAdapter('test/oracle/llama/adapter', llama.config);
    assert.equal(adapter.rank, 4);
    assert.equal(adapter.alpha, 8);
    assert.deepEqual(adapter.targets, ['q_proj', 'k_proj', 'v_proj', 'o_proj']);
    assert.equal(adapter.baseHash, null);
    const location = readSafetensorsIndex('test/oracle/llama/adapter/adapter_model.safetensors').tensors;
    for (const { name, offset, shape } of adapter.table) {
      const expected = readTensor(location.get(name)!);
      assert.deepEqual(adapter.vector.slice(offset, offset + shape[0] * shape[1]), expected);
    }
  });

  it('comes back as it was written, with its base', async () => {
    await using folder = await temporary();
    for (const targets of [TARGET_MODULES, ['v_proj', 'down_proj'] as const]) {
      const fresh = initialAdapter(llama.config, { rank: 3, targets }, 3, 5);
      const baseQuantization = targets.length === 2 ? { scheme: 'nf4', sha256: 'f'.repeat(64) } : null;
      const vector = fresh.vector.map((value, i) => value + i / 64);
      const adapter = { ...fresh, vector, baseHash: llama.hash, baseQuantization };
      await writePeftAdapter(folder.path, adapter, { baseModel: 'tiny' });
      assert.deepEqual(await readPeftAdapter(folder.path, llama.config), adapter);
      assert.deepEqual((await readdir(folder.path)).sort(), [
        'README.md',
        'adapter_config.json',
        'adapter_model.safetensors',
      ]);
    }
  });

  it('is written with the scale folded into B', async () => {
    await using folder = await temporary();
    const adapter = await readPeftAdapter('test/oracle/llama/adapter', llama.config);
    await writePeftAdapter(folder.path, adapter, { baseModel: 'tiny' });
    const folded = await readPeftAdapter(folder.path, llama.config);
    assert.equal(folded.alpha, 4);
    for (const [factor, scale] of [
      ['A', 1],
      ['B', 2],
    ] as const) {
      for (const { start, end } of factorRanges(adapter.table, factor)) {
        for (let i = start; i < end; i++) assert.equal(folded.vector[i], scale * adapter.vector[i]!);
      }
    }
  });

  it('is written with the fields that every loader takes', async () => {
    await using folder = await temporary();
    const adapter = initialAdapter(llama.config, { rank: 4, targets: ['v_proj', 'q_proj'] }, 32, 0);
    await writePeftAdapter(folder.path, adapter, { baseModel: 'tiny', card: { Pairs: 12 } });
    assert.deepEqual(JSON.parse(await readFile(join(folder.path, 'adapter_config.json'), 'utf8')), {
      base_model_name_or_path: 'tiny',
      bias: 'none',
      fan_in_fan_out: false,
      inference_mode: true,
      init_lora_weights: true,
      layers_pattern: null,
      layers_to_transform: null,
      lora_alpha: 4,
      lora_dropout: 0,
      modules_to_save: null,
      peft_type: 'LORA',
      r: 4,
      revision: null,
      target_modules: ['q_proj', 'v_proj'],
      task_type: 'CAUSAL_LM',
    });
    const card = await readFile(join(folder.path, 'README.md'), 'utf8');
    assert.match(card, /\| Pairs \| 12 \|/);
    assert.match(card, /^base_model: "tiny"$/m);
  });

  it('is read with rank-stabilised scaling as the alpha that has the same effect', async () => {
    assert.equal((await readChanged({ use_rslora: true })).alpha, 16); // 8 / √4 is 16 / 4
  });

  it('is read with the defaults of PEFT where the fields are left out', async () => {
    await assert.rejects(
      readChanged({ r: undefined }),
      faultOf('base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight'),
    );
    assert.equal((await readChanged({ lora_alpha: undefined })).alpha, 8);
  });

  for (const [field, value] of Object.entries({
    use_dora: true,
    fan_in_fan_out: true,
    bias: 'all',
    rank_pattern: { q_proj: 8 },
    alpha_pattern: { q_proj: 8 },
    modules_to_save: ['lm_head'],
    peft_type: 'IA3',
    r: 0,
    use_qalora: true,
    lora_bias: true,
    init_lora_weights: 'pissa',
    trainable_token_indices: [3],
    target_parameters: ['mlp.experts.down_proj'],
    layer_replication: [[0, 2]],
    alora_invocation_tokens: [1],
  })) {
    it(`is refused when ${field} asks for something else than plain LoRA`, async () => {
      await assert.rejects(readChanged({ [field]: value }), faultOf(field));
    });
  }

  it('is read with an alpha that is not whole and fields that change nothing', async () => {
    const harmless = {
      init_lora_weights: 'gaussian',
      rank_pattern: {},
      modules_to_save: null,
      eva_config: {},
      lora_bias: false,
      lora_dropout: 0.05, // off here, as in TRL
    };
    assert.equal((await readChanged({ lora_alpha: 12.5, ...harmless })).alpha, 12.5);
    for (const targets of ['all-linear', String.raw`.*\.self_attn\..*_proj`, ['q_proj']]) {
      assert.equal(
        (await readChanged({ target_modules: targets })).targets.length,
        4,
        'the tensors say what is adapted',
      );
    }
  });

  it('is read under keys that still have the name of the adapter in them, or lack the prefix', async () => {
    const plain = await readPeftAdapter('test/oracle/llama/adapter', llama.config);
    const renamed = (change: (name: string) => string) =>
      readChanged({}, (all) => all.map((tensor) => ({ ...tensor, name: change(tensor.name) })));
    assert.deepEqual(await renamed((name) => name.replace('.weight', '.default.weight')), plain);
    assert.deepEqual(await renamed((name) => name.replace('base_model.model.', '')), plain);
    const twice = (all: NamedTensor[]) => [...all, { ...all[0]!, name: all[0]!.name.replace('.weight', '.b.weight') }];
    await assert.rejects(readChanged({}, twice), { code: 'ADAPTER_INVALID', message: /occurs twice/ });
  });

  for (const dtype of ['F16', 'BF16'] as const) {
    it(`comes back from ${dtype} as the nearest values`, async () => {
      await using folder = await temporary();
      const adapter = await readPeftAdapter('test/oracle/llama/adapter', llama.config);
      await writePeftAdapter(folder.path, adapter, { baseModel: 'tiny', dtype });
      const read = await readPeftAdapter(folder.path, llama.config);
      const { tensors } = readSafetensorsIndex(join(folder.path, 'adapter_model.safetensors'));
      assert.deepEqual(new Set([...tensors.values()].map((tensor) => tensor.dtype)), new Set([dtype]));
      const relative = dtype === 'F16' ? 2 ** -11 : 2 ** -8;
      for (const { start, end } of factorRanges(adapter.table, 'A')) {
        for (let i = start; i < end; i++) {
          const [before, after] = [adapter.vector[i]!, read.vector[i]!];
          assert.ok(Math.abs(after - before) <= relative * Math.abs(before) + 1e-7, `${before} became ${after}`);
        }
      }
    });
  }

  it('leaves layers alone that its configuration leaves out, and only those', async () => {
    const firstOnly = (all: NamedTensor[]) => all.filter(({ name }) => name.includes('layers.0.'));
    const plain = await readPeftAdapter('test/oracle/llama/adapter', llama.config);
    for (const config of [{ layers_to_transform: [0] }, { layers_to_transform: 0 }, { target_modules: '.*0.*proj' }]) {
      const adapter = await readChanged(config, firstOnly);
      for (const { layer, offset, shape } of adapter.table) {
        const range = [offset, offset + shape[0] * shape[1]] as const;
        const expected = layer === 0 ? plain.vector.slice(...range) : new Float32Array(range[1] - range[0]);
        assert.deepEqual(adapter.vector.slice(...range), expected);
      }
    }
    const missing = faultOf('base_model.model.model.layers.1.self_attn.q_proj.lora_A.weight');
    await assert.rejects(readChanged({}, firstOnly), missing);
    await assert.rejects(readChanged({ layers_to_transform: [1] }, firstOnly), missing);
    const half = (all: NamedTensor[]) =>
      all.filter(({ name }) => !name.endsWith('layers.1.self_attn.q_proj.lora_A.weight'));
    await assert.rejects(readChanged({ layers_to_transform: [0] }, half), missing);
  });

  it('is written under the keys and in the shapes of PEFT, with the metadata that its loader asks for', async () => {
    await using folder = await temporary();
    await writePeftAdapter(folder.path, initialAdapter(llama.config, { rank: 3, targets: TARGET_MODULES }, 6, 0), {
      baseModel: 'tiny',
    });
    const { tensors, metadata } = readSafetensorsIndex(join(folder.path, 'adapter_model.safetensors'));
    assert.equal(metadata.format, 'pt');
    const expected: Record<string, number[]> = {};
    for (const layer of [0, 1]) {
      for (const [path, out, width] of [
        ['self_attn.q_proj', 32, 32],
        ['self_attn.k_proj', 16, 32],
        ['self_attn.v_proj', 16, 32],
        ['self_attn.o_proj', 32, 32],
        ['mlp.gate_proj', 64, 32],
        ['mlp.up_proj', 64, 32],
        ['mlp.down_proj', 32, 64],
      ] as const) {
        expected[`base_model.model.model.layers.${layer}.${path}.lora_A.weight`] = [3, width];
        expected[`base_model.model.model.layers.${layer}.${path}.lora_B.weight`] = [out, 3];
      }
    }
    assert.deepEqual(Object.fromEntries([...tensors].map(([name, { shape }]) => [name, [...shape]])), expected);
  });

  it('means to numpy what it means here, as it came and as it is written', async function () {
    const python: string | undefined = ['/usr/bin/python3', 'python3'].find(
      (name) => spawnSync(name, ['-c', 'import numpy']).status === 0,
    );
    if (python === undefined) {
      this.test!.title += ' (no python3 with numpy)';
      return this.skip();
    }
    await using folder = await temporary();
    const adapter = await readPeftAdapter('test/oracle/qwen2/adapter', qwen2.config);
    const written = join(folder.path, 'written');
    await writePeftAdapter(written, adapter, { baseModel: 'tiny' });
    const sequences = [{ id: 'a', prompt: [1, 2, 3], chosen: [50, 60, 70, 256], rejected: [65, 66, 256] }];
    const scale = adapter.alpha / adapter.rank;
    const scored = async (checkpoint: Checkpoint, vector: Float32Array | null) => {
      await using policy = await Policy.open({ checkpoint, layout: adapter, scale, threads: 1 });
      const { chosen, rejected } = await policy.logProbs(sequences, vector);
      return [chosen[0]!, rejected[0]!];
    };
    const ours = await scored(qwen2, adapter.vector);
    for (const source of ['test/oracle/qwen2/adapter', written]) {
      const merged = join(folder.path, 'merged');
      await cp(qwen2.folder, merged, { recursive: true });
      const script = join(import.meta.dirname, 'merge-adapter.py');
      const outcome: SpawnSyncReturns<string> = spawnSync(python, [script, qwen2.folder, source, merged], {
        encoding: 'utf8',
      });
      assert.equal(outcome.status, 0, outcome.stderr);
      const theirs = await scored(await openCheckpoint(merged), null);
      for (const [i, value] of theirs.entries()) {
        assert.ok(Math.abs(value - ours[i]!) < 1e-4, `${source}: ${value} is not ${ours[i]}`);
      }
    }
    assert.ok(Math.abs((await scored(qwen2, null))[0]! - ours[0]!) > 0.01, 'the adapter changes something');
  });

  it('is refused when a tensor is missing, extra, misshapen or not finite', async () => {
    const name = 'base_model.model.model.layers.1.self_attn.o_proj.lora_B.weight';
    const at = (tensors: NamedTensor[]) => tensors.find((tensor) => tensor.name === name)!;
    await assert.rejects(
      readChanged({}, (all) => all.filter((tensor) => tensor.name !== name)),
      faultOf(name),
    );
    await assert.rejects(
      readChanged({}, (all) => all.map((t) => (t === at(all) ? { ...t, shape: [4, 32] } : t))),
      faultOf(name),
    );
    // What PEFT calls adapters of the head, of the embedding, magnitudes of DoRA, and biases.
    for (const extra of [
      'base_model.model.lm_head.lora_A.weight',
      'base_model.model.lm_head.weight',
      'base_model.model.model.embed_tokens.lora_embedding_A',
      'base_model.model.model.layers.0.self_attn.q_proj.lora_magnitude_vector',
      'base_model.model.model.layers.0.self_attn.q_proj.lora_B.bias',
    ]) {
      const tensor = { name: extra, shape: [1], data: Float32Array.of(1) };
      await assert.rejects(
        readChanged({}, (all) => [...all, tensor]),
        faultOf(extra),
      );
    }
    const poisoned = (all: NamedTensor[]) => {
      at(all).data[3] = NaN;
      return all;
    };
    await assert.rejects(readChanged({}, poisoned), faultOf(name));
  });

  it('is refused for a model of other dimensions', async () => {
    const wider = { ...qwen2.config, hiddenSize: 64, headDim: 16 };
    await assert.rejects(
      readPeftAdapter('test/oracle/llama/adapter', wider),
      faultOf('base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight'),
    );
  });

  it('is refused when a file is missing', async () => {
    await using folder = await temporary();
    await assert.rejects(readPeftAdapter(folder.path, llama.config), faultOf('(file)'));
    await cp('test/oracle/llama/adapter', folder.path, { recursive: true });
    await rm(join(folder.path, 'adapter_model.safetensors'));
    await assert.rejects(readPeftAdapter(folder.path, llama.config), faultOf('(file)'));
    await writeFile(join(folder.path, 'adapter_model.bin'), '');
    await assert.rejects(readPeftAdapter(folder.path, llama.config), { message: /a pickle can run code/ });
  });
});
