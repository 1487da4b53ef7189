import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { aggregateFolders } from '../../aggregator/offline/aggregateFolders.ts';
import { weightedMean, wholeWeights } from '../../aggregator/offline/weightedMean.ts';
import { openCheckpoint, type Checkpoint } from '../../node/model/checkpoint.ts';
import { readSafetensorsIndex, readTensor, writeSafetensors } from '../../node/model/safetensors.ts';
import { initialAdapter, type Adapter } from '../../node/training/adapter.ts';
import { ADAPTER_WEIGHTS, readPeftAdapter, writePeftAdapter } from '../../node/training/peft.ts';
import { isPrefmeshError } from '../../protocol/errors.ts';
import { MODEL } from './federationFixture.ts';

const BITS = 20;
const LAYOUT = { rank: 2, targets: ['q_proj', 'v_proj'] } as const;

describe('adapters combined on disk', () => {
  let folder: string;
  let checkpoint: Checkpoint;
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'prefmesh-offline-'));
    checkpoint = await openCheckpoint(MODEL);
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  /** An adapter on disk whose named factor holds `value` everywhere, and whose other one is that of the seed. */
  async function written(name: string, factor: 'A' | 'B', value: number, seed = 1): Promise<string> {
    const adapter = initialAdapter(checkpoint.config, LAYOUT, LAYOUT.rank, seed);
    for (const entry of adapter.table) {
      if (entry.factor === factor)
        adapter.vector.fill(value, entry.offset, entry.offset + entry.shape[0] * entry.shape[1]);
    }
    return write(name, adapter);
  }

  async function write(name: string, adapter: Adapter): Promise<string> {
    const out = join(folder, name);
    await writePeftAdapter(out, adapter, { baseModel: 'tiny' });
    return out;
  }

  /** Values of a factor of a combined adapter: all the same, and that one. */
  function valueOf({ table, vector }: Adapter, factor: 'A' | 'B'): number {
    const values = table
      .filter((entry) => entry.factor === factor)
      .flatMap(({ offset, shape }) => [...vector.subarray(offset, offset + shape[0] * shape[1])]);
    assert.equal(new Set(values).size, 1);
    return values[0]!;
  }

  it('give the mean of the named factor, whatever their order, and keep the other', async () => {
    const adapters = [await written('one', 'B', 0.25), await written('two', 'B', 0.75), await written('three', 'B', 1)];
    const forward = await aggregateFolders({ rule: 'alternating', adapters, factor: 'B', bits: BITS });
    const backward = await aggregateFolders({
      rule: 'alternating',
      adapters: adapters.toReversed(),
      factor: 'B',
      bits: BITS,
    });
    assert.ok(Math.abs(valueOf(forward.adapter, 'B') - 2 / 3) <= 2 ** -BITS);
    assert.equal(forward.hash, backward.hash);
    assert.deepEqual(
      forward.inputs.map(({ accepted }) => accepted),
      [true, true, true],
    );
    const out = await write('combined', forward.adapter);
    assert.equal((await readPeftAdapter(out, checkpoint.config)).rank, LAYOUT.rank);
  });

  it('are taken with the adapter name in their tensors too, as a state dictionary saved without PEFT has it', async () => {
    const plain = [await written('plain', 'B', 0.25), await written('other', 'B', 0.75)] as const;
    const named = join(folder, 'named');
    cpSync(plain[0], named, { recursive: true });
    const file = join(named, ADAPTER_WEIGHTS);
    const tensors = [...readSafetensorsIndex(file).tensors.values()].map((tensor) => {
      const name = tensor.name.replace(/\.weight$/, '.default.weight');
      return { name, shape: tensor.shape, data: readTensor(tensor) };
    });
    await writeSafetensors(file, tensors, { format: 'pt' });
    const combine = (adapters: string[]) =>
      aggregateFolders({ rule: 'alternating', adapters, factor: 'B', bits: BITS });
    const expected = await combine([...plain]);
    const found = await combine([named, plain[1]]);
    assert.deepEqual(found.adapter.table, expected.adapter.table);
    assert.deepEqual(found.adapter.vector, expected.adapter.vector);
  });

  it('are refused where the factor that is not combined differs', async () => {
    const adapters = [await written('same', 'B', 0.25), await written('other', 'B', 0.75, 2)];
    await assert.rejects(aggregateFolders({ rule: 'alternating', adapters, factor: 'B', bits: BITS }), (error) =>
      isPrefmeshError(error, 'FACTOR_DIFFERS'),
    );
  });

  it('leave out one that no round would take, and say why', async () => {
    const wide = initialAdapter(checkpoint.config, { rank: 4, targets: ['q_proj', 'v_proj'] }, 4, 1);
    const adapters = [await written('narrow', 'B', 0.5), await write('wide', wide)];
    const { inputs, adapter } = await aggregateFolders({ rule: 'mean', adapters, factor: 'both', bits: BITS });
    assert.deepEqual(
      inputs.map(({ accepted, reason }) => [accepted, reason]),
      [
        [true, null],
        [false, 'WRONG_TENSOR_TABLE'],
      ],
    );
    assert.equal(valueOf(adapter, 'B'), 0.5);
  });

  it('move from a base by the weighted mean of their differences from it', async () => {
    const base = await written('base', 'B', 0.5);
    const adapters = [await written('up', 'B', 1), await written('down', 'B', 0.25)];
    const request = { rule: 'alternating', adapters, base, factor: 'B', bits: BITS } as const;
    const even = await aggregateFolders(request);
    assert.equal(valueOf(even.adapter, 'B'), 0.5 + (0.5 - 0.25) / 2);
    const weighted = await aggregateFolders({ ...request, weights: [3, 1] });
    assert.equal(valueOf(weighted.adapter, 'B'), 0.5 + (3 * 0.5 - 0.25) / 4);
  });

  it('are combined exactly with different ranks, as the mean of their products', async () => {
    const random = (rank: number, seed: number) => {
      const adapter = initialAdapter(checkpoint.config, { ...LAYOUT, rank }, rank, seed);
      return { ...adapter, vector: adapter.vector.map((value, i) => value || Math.sin(seed + i) / 8) };
    };
    const two = random(2, 1);
    const three = random(3, 2);
    const adapters = [await write('rank two', two), await write('rank three', three)];
    const { adapter, inputs, truncatedEnergy } = await aggregateFolders({
      rule: 'svd',
      adapters,
      factor: 'both',
      rank: 5,
      bits: BITS,
    });
    assert.deepEqual(
      inputs.map(({ accepted }) => accepted),
      [true, true],
    );
    assert.equal(adapter.rank, 5);
    const [p, q, found] = [two, three, adapter].map(firstProduct);
    for (const [i, value] of found!.entries()) {
      assert.ok(Math.abs(value - (p![i]! + q![i]!) / 2) <= 1e-4, `${value} is not ${(p![i]! + q![i]!) / 2}`);
    }
    assert.ok(truncatedEnergy! < 1e-9);
    const cut = await aggregateFolders({ rule: 'svd', adapters, factor: 'both', bits: BITS });
    assert.equal(cut.adapter.rank, 3);
    assert.ok(cut.truncatedEnergy! > 0.001);
  });

  it('are each taken at its own scale, alpha over rank or over its root, so that the same one twice gives itself', async () => {
    const adapter = initialAdapter(checkpoint.config, { rank: 4, targets: ['q_proj', 'v_proj'] }, 4, 1);
    adapter.vector.set(adapter.vector.map((value, i) => value || Math.sin(i) / 8));
    const plain = await write('scale one', adapter);
    /** The same change of the base, said with another scale: B is that much smaller. */
    const scaled = async (name: string, scale: number, config: object): Promise<string> => {
      const out = join(folder, name);
      cpSync(plain, out, { recursive: true });
      const tensors = [...readSafetensorsIndex(join(plain, ADAPTER_WEIGHTS)).tensors.values()].map((tensor) => {
        const by = tensor.name.includes('lora_B') ? scale : 1;
        return { name: tensor.name, shape: tensor.shape, data: readTensor(tensor).map((value) => value / by) };
      });
      await writeSafetensors(join(out, ADAPTER_WEIGHTS), tensors, { format: 'pt' });
      const file = join(out, 'adapter_config.json');
      writeFileSync(file, JSON.stringify({ ...(JSON.parse(readFileSync(file, 'utf8')) as object), ...config }));
      return out;
    };
    const adapters = [
      plain,
      await scaled('alpha thrice the rank', 3, { lora_alpha: 12 }),
      await scaled('rank-stabilised', 8, { lora_alpha: 16, use_rslora: true }), // 16 / √4
    ];
    const expected = firstProduct(adapter);
    for (const rule of ['mean', 'svd'] as const) {
      const found = await aggregateFolders({ rule, adapters, factor: 'both', bits: BITS });
      assert.deepEqual([found.adapter.rank, found.adapter.alpha], [4, 4]);
      for (const [i, value] of firstProduct(found.adapter).entries())
        assert.ok(Math.abs(value - expected[i]!) <= 1e-4, `${rule}: ${value} is not ${expected[i]}`);
    }
  });

  it('say which of them a robust rule gave no say', async () => {
    const values = [0.5, 0.52, 0.48, 0.51, 0.49, 40];
    const adapters: string[] = [];
    for (const [i, value] of values.entries()) adapters.push(await written(`voter ${i}`, 'B', value));
    const { inputs, adapter } = await aggregateFolders({ rule: 'robust', adapters, factor: 'B', bits: BITS });
    assert.deepEqual(
      inputs.map(({ reason }) => reason),
      [null, null, null, null, null, 'NORM_OUTLIER'],
    );
    assert.ok(Math.abs(valueOf(adapter, 'B') - 0.5) < 0.02);
  });
});

/** B·A of the first projection, row-major. */
function firstProduct({ table, vector, rank }: Adapter): number[] {
  const a = table.find(({ factor }) => factor === 'A')!;
  const b = table.find(({ factor, name }) => factor === 'B' && name === a.name.replace('lora_A', 'lora_B'))!;
  const [rows, columns] = [b.shape[0], a.shape[1]];
  return Array.from({ length: rows * columns }, (_, at) => {
    let sum = 0;
    for (let k = 0; k < rank; k++) {
      const left = vector[b.offset + Math.floor(at / columns) * rank + k]!;
      sum += left * vector[a.offset + k * columns + (at % columns)]!;
    }
    return sum;
  });
}

describe('the weighted mean', () => {
  it('is the exact quotient, rounded half away from zero', () => {
    const value = fc.integer({ min: -(2 ** 31) + 1, max: 2 ** 31 - 1 });
    const weight = fc.integer({ min: 1, max: 2 ** 18 });
    fc.assert(
      fc.property(fc.array(fc.tuple(value, weight), { minLength: 1, maxLength: 8 }), (inputs) => {
        const vectors = inputs.map(([each]) => Int32Array.of(each));
        const weights = inputs.map(([, each]) => each);
        const [found] = weightedMean(vectors, weights, 1);
        const sum = inputs.reduce((total, [each, by]) => total + BigInt(each) * BigInt(by), 0n);
        const total = BigInt(weights.reduce((a, b) => a + b, 0));
        const twice = 2n * sum + (sum < 0n ? -total : total);
        assert.equal(BigInt(found!), twice / (2n * total));
      }),
    );
  });

  it('takes proportions as the smallest whole numbers', () => {
    assert.deepEqual(wholeWeights([0.5, 0.25, 0.25]), [2, 1, 1]);
    assert.deepEqual(wholeWeights([120, 80, 95]), [24, 16, 19]);
    assert.deepEqual(wholeWeights([0.1, 0.2]), [1, 2]);
    assert.throws(
      () => wholeWeights([1, Math.PI]),
      (error) => isPrefmeshError(error, 'USAGE'),
    );
  });
});
