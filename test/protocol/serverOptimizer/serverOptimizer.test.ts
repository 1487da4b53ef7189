import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { aggregateRound, inOrderOfHash } from '../../../protocol/aggregation/aggregate.ts';
import { PrefmeshError } from '../../../protocol/errors.ts';
import { manifestSchema } from '../../../protocol/manifest.ts';
import { initialOptimizerState, optimize } from '../../../protocol/serverOptimizer/optimizerState.ts';
import { checkServerOptimizer, serverOptimizerByName } from '../../../protocol/serverOptimizer/serverOptimizers.ts';
import type { ServerOptimizerName } from '../../../protocol/serverOptimizer/serverOptimizers.ts';
import { decodeBlob, type FixedPointTensors } from '../../../protocol/tensorBlob.ts';
import { exampleManifest, exampleUpdate, initialAdapter } from '../exampleFederation.ts';

interface GoldenCase {
  readonly name: ServerOptimizerName;
  readonly parameters: Record<string, number>;
  readonly rounds: readonly {
    readonly factor: 'A' | 'B';
    readonly update: number[];
    readonly applied: number[];
    readonly state: number[];
  }[];
}
/** What `scripts/aggregation/golden-optimizers.py` writes. */
const golden = JSON.parse(readFileSync(new URL('./golden.json', import.meta.url), 'utf8')) as {
  readonly bits: number;
  readonly size: number;
  readonly cases: readonly GoldenCase[];
};

const BITS = 16;
const ONE = 2 ** BITS;

/** One step of an optimiser on one value, in units of the weights. */
function stepOn(name: ServerOptimizerName, parameters: Record<string, number>, update: number, memories: number[]) {
  const stepped = serverOptimizerByName(name).step({
    update: Int32Array.of(update * ONE),
    memories: memories.map((value) => Int32Array.of(value * ONE)),
    parameters,
    bits: BITS,
  });
  return { update: stepped.update[0]! / ONE, memories: stepped.memories.map(([value]) => value! / ONE) };
}

describe('server optimisers on numbers worked out by hand', () => {
  it('FedAvgM: m = 0.5·4 + 1 = 3, applied 2·3', () => {
    assert.deepEqual(stepOn('fedavgm', { learningRate: 2, momentum: 0.5 }, 1, [4]), { update: 6, memories: [3] });
  });

  it('DiLoCo: m = 0.5·4 + 1 = 3, applied 2·(1 + 0.5·3)', () => {
    assert.deepEqual(stepOn('diloco', { learningRate: 2, momentum: 0.5 }, 1, [4]), { update: 5, memories: [3] });
  });

  it('DiLoCo with no momentum applies its share of the update and remembers it', () => {
    assert.deepEqual(stepOn('diloco', { learningRate: 0.5, momentum: 0 }, 3, [4]), { update: 1.5, memories: [3] });
  });

  it('FedAdam: m = 0.5·2 + 0.5·8 = 5, s = √(0.75·4² + 0.25·8²) = √28, applied 1.5·5 / (√28 + 0.5)', () => {
    const parameters = { learningRate: 1.5, momentum: 0.5, secondMomentum: 0.75, adaptivity: 0.5 };
    const { update, memories } = stepOn('fedadam', parameters, 8, [2, 4]);
    assert.equal(memories[0], 5);
    assert.equal(memories[1], Math.floor(Math.sqrt(28) * ONE) / ONE);
    assert.equal(update, Math.round((7.5 / (memories[1]! + 0.5)) * ONE) / ONE);
    assert.ok(Math.abs(update - 7.5 / (Math.sqrt(28) + 0.5)) < 2 / ONE);
  });

  it('FedAdam begins with a spread of τ', () => {
    const terms = { name: 'fedadam', parameters: { adaptivity: 0.25 } } as const;
    const { values, table } = initialOptimizerState(terms, initialAdapter);
    const half = values.length / 2;
    assert.deepEqual([...new Set(values.subarray(0, half))], [0]);
    assert.deepEqual([...new Set(values.subarray(half))], [0.25 * 2 ** initialAdapter.bits]);
    assert.equal(table.length, 2 * initialAdapter.table.length);
  });

  it('negated updates give negated steps, and a memory without news dies out', () => {
    for (const name of ['fedavgm', 'diloco'] as const) {
      const { step } = serverOptimizerByName(name);
      const run = (first: number) => {
        let memories: readonly Int32Array[] = [Int32Array.of(0)];
        const applied: number[] = [];
        for (let round = 0; round < 60; round++) {
          const parameters = { learningRate: 0.7, momentum: 0.9 };
          const stepped = step({ update: Int32Array.of(round === 0 ? first : 0), memories, parameters, bits: BITS });
          memories = stepped.memories.map((memory) => Int32Array.from(memory));
          applied.push(stepped.update[0]! + 0);
        }
        return { applied, left: memories[0]![0]! };
      };
      const [up, down] = [run(1001), run(-1001)];
      assert.deepEqual(
        down.applied.map((value) => 0 - value),
        up.applied,
      );
      assert.deepEqual([up.left, down.left], [0, 0]);
    }
  });
});

describe('server optimisers against a second implementation', () => {
  const tensor = (factor: string) => `base_model.model.model.layers.0.self_attn.q_proj.lora_${factor}.weight`;
  const parent: FixedPointTensors = {
    bits: golden.bits,
    table: [
      { name: tensor('A'), shape: [1, golden.size] },
      { name: tensor('B'), shape: [golden.size, 1] },
    ],
    values: new Int32Array(2 * golden.size),
  };
  for (const { name, parameters, rounds } of golden.cases) {
    it(`${name} with ${JSON.stringify(parameters)}, over ${rounds.length} rounds of alternating factors`, () => {
      let state = initialOptimizerState({ name, parameters }, parent);
      for (const { factor, update, applied, state: expected } of rounds) {
        const before = state;
        const given = { parent, factor, state, update: Int32Array.from(update) };
        const result = optimize({ name, parameters }, given);
        assert.deepEqual([...result.values], applied);
        assert.deepEqual([...result.state.values], expected);
        assert.notEqual(result.state.values, before.values);
        state = result.state;
      }
    });
  }
});

describe('a round with a server optimiser', () => {
  const updates = [exampleUpdate(0.25), exampleUpdate(0.75)];
  const terms = { name: 'diloco', parameters: { learningRate: 0.5, momentum: 0.5 } } as const;
  const round = { rule: 'alternating', parameters: {}, factor: 'B', parent: initialAdapter } as const;

  it('applies the step in place of the mean, and the next one from what was remembered', () => {
    const first = aggregateRound({ ...round, ...inOrderOfHash(updates), serverOptimizer: terms });
    // Mean 0.5: m = 0.5, applied 0.5·(0.5 + 0.25) = 0.375.
    assert.deepEqual([...new Set(first.adapter.values.subarray(6))], [0.375 * ONE]);
    const optimizerState = decodeBlob(first.optimizerState!.blob);
    const second = aggregateRound({
      ...round,
      parent: first.adapter,
      ...inOrderOfHash(updates),
      serverOptimizer: terms,
      optimizerState,
    });
    // m = 0.25 + 0.5 = 0.75, applied 0.5·(0.5 + 0.375) = 0.4375.
    assert.deepEqual([...new Set(second.adapter.values.subarray(6))], [(0.375 + 0.4375) * ONE]);
    const plain = aggregateRound({ ...round, ...inOrderOfHash(updates) });
    assert.equal(plain.optimizerState, null);
    assert.deepEqual([...new Set(plain.adapter.values.subarray(6))], [0.5 * ONE]);
  });

  it('is impossible when what is remembered leaves the range of the integers', () => {
    const state = initialOptimizerState(terms, initialAdapter);
    state.values.fill(2 ** 31 - 1);
    const huge = { ...terms, parameters: { learningRate: 10, momentum: 0.999 } };
    const given = { ...round, ...inOrderOfHash(updates), serverOptimizer: huge, optimizerState: state };
    assert.throws(() => aggregateRound(given), refusedAs('OUT_OF_RANGE'));
  });

  it("refuses the state of another optimiser, and another adapter's", () => {
    const state = initialOptimizerState({ name: 'fedadam', parameters: {} }, initialAdapter);
    const given = { ...round, ...inOrderOfHash(updates), serverOptimizer: terms };
    assert.throws(() => aggregateRound({ ...given, optimizerState: state }), refusedAs('WRONG_TENSOR_TABLE'));
    assert.throws(() => aggregateRound({ ...given, optimizerState: initialAdapter }), refusedAs('WRONG_TENSOR_TABLE'));
  });
});

describe("a manifest's server optimiser", () => {
  const accepts = (serverOptimizer: unknown, rule = 'alternating') =>
    manifestSchema.safeParse({ ...exampleManifest(), aggregation: { rule, parameters: {} }, serverOptimizer }).success;

  it('is one that there is, with parameters that it has, in their bounds', () => {
    assert.ok(accepts(null));
    assert.ok(accepts({ name: 'fedadam', parameters: { learningRate: 0.1, adaptivity: 0.01 } }));
    assert.ok(!accepts({ name: 'lamb', parameters: {} }));
    assert.ok(!accepts({ name: 'fedavgm', parameters: { adaptivity: 0.01 } }));
    assert.ok(!accepts({ name: 'fedavgm', parameters: { momentum: 1 } }));
    assert.ok(!accepts(undefined));
  });

  it('has nothing to remember where factors are made anew', () => {
    assert.ok(!accepts({ name: 'diloco', parameters: {} }, 'svd'));
    assert.match(checkServerOptimizer({ name: 'diloco', parameters: {} }, 'svd')!, /factors anew/);
  });
});

function refusedAs(code: string): (error: unknown) => boolean {
  return (error) => error instanceof PrefmeshError && error.code === code;
}
