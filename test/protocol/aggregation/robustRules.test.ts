import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { aggregateRound, inOrderOfHash } from '../../../protocol/aggregation/aggregate.ts';
import { blocks } from '../../../protocol/aggregation/blocks.ts';
import {
  checkRuleParameters,
  fewestUpdates,
  ruleByName,
  RULE_NAMES,
  type RuleName,
} from '../../../protocol/aggregation/rules.ts';
import { sha256 } from '../../../protocol/names.ts';
import { encodeBlob, type FixedPointTensors } from '../../../protocol/tensorBlob.ts';
import { norm } from '../../../protocol/update.ts';
import { exampleFederation } from '../exampleFederation.ts';
import { assertRefused } from '../refusal.ts';

interface GoldenCase {
  readonly factor: 'A' | 'B';
  readonly byzantineShare: number;
  readonly bits: number;
  readonly rank: number;
  /** Name, outputs, inputs. */
  readonly modules: readonly (readonly [string, number, number])[];
  readonly parent: Readonly<Record<string, Readonly<Record<'A' | 'B', readonly number[]>>>>;
  readonly updates: readonly Readonly<Record<string, readonly number[]>>[];
  /** In the order of the modules. */
  readonly expected: Readonly<Partial<Record<RuleName, readonly number[]>>>;
}

const goldenFile = new URL('golden/rules.json', import.meta.url);
const golden = JSON.parse(readFileSync(goldenFile, 'utf8')) as readonly GoldenCase[];

const nameOf = (module: string, factor: string) =>
  `base_model.model.model.layers.0.self_attn.${module}.lora_${factor}.weight`;

function tensors(
  bits: number,
  parts: readonly { readonly name: string; readonly shape: readonly number[]; readonly values: readonly number[] }[],
): FixedPointTensors {
  const ordered = parts.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  return {
    bits,
    table: ordered.map(({ name, shape }) => ({ name, shape })),
    values: Int32Array.from(ordered.flatMap(({ values }) => values)),
  };
}

function shapeOf({ rank }: GoldenCase, factor: 'A' | 'B', outputs: number, inputs: number): readonly number[] {
  return factor === 'B' ? [outputs, rank] : [rank, inputs];
}

function parentOf(example: GoldenCase): FixedPointTensors {
  const parts = example.modules.flatMap(([module, outputs, inputs]) =>
    (['A', 'B'] as const).map((factor) => ({
      name: nameOf(module, factor),
      shape: shapeOf(example, factor, outputs, inputs),
      values: example.parent[module]![factor],
    })),
  );
  return tensors(example.bits, parts);
}

function updatesOf(example: GoldenCase): FixedPointTensors[] {
  return example.updates.map((update) =>
    tensors(
      example.bits,
      example.modules.map(([module, outputs, inputs]) => ({
        name: nameOf(module, example.factor),
        shape: shapeOf(example, example.factor, outputs, inputs),
        values: update[module]!,
      })),
    ),
  );
}

/** What the rule adds to the parent's factor. */
function change(
  rule: RuleName,
  { factor }: GoldenCase,
  parent: FixedPointTensors,
  updates: readonly FixedPointTensors[],
  parameters: Readonly<Record<string, number>>,
): Int32Array {
  const { adapter } = aggregateRound({ rule, parameters, factor, parent, ...inOrderOfHash(updates) });
  const before = parent.values;
  const changed: number[] = [];
  let at = 0;
  for (const { name, shape } of parent.table) {
    const end = at + shape[0]! * shape[1]!;
    const sent = name.includes(`.lora_${factor}.`);
    for (; at < end; at++) {
      const difference = adapter.values[at]! - before[at]!;
      if (sent) changed.push(difference);
      else assert.equal(difference, 0);
    }
  }
  return Int32Array.from(changed);
}

/** The rules that take turns with the factors. */
const ONE_FACTOR = RULE_NAMES.filter((name) => ruleByName(name).factorOf(1) !== 'both');

const takesShare = (rule: RuleName) => checkRuleParameters(rule, { byzantineShare: 0.2 }) === undefined;
const parametersFor = (rule: RuleName, byzantineShare: number) => (takesShare(rule) ? { byzantineShare } : {});

describe('aggregation rules against a second implementation', () => {
  for (const rule of RULE_NAMES.filter((name) => golden.some(({ expected }) => expected[name]))) {
    it(`${rule} gives its golden vectors, to the last integer`, () => {
      for (const example of golden) {
        const expected = example.expected[rule];
        if (expected === undefined) continue;
        const parameters = parametersFor(rule, example.byzantineShare);
        const found = change(rule, example, parentOf(example), updatesOf(example), parameters);
        assert.equal(found.length, expected.length);
        // Golden values are not rounded; float64 may put a half on either side.
        for (const [i, value] of expected.entries()) {
          assert.ok(Math.abs(found[i]! - value) <= 0.5 + 1e-5, `${rule}: ${found[i]} is not ${value}`);
        }
      }
    });
  }

  it('has vectors of every rule of one factor', () => {
    const covered = new Set(golden.flatMap(({ expected }) => Object.keys(expected)));
    assert.deepEqual(
      ONE_FACTOR.filter((name) => !covered.has(name)),
      [],
    );
  });

  it('are what the script makes (where python3 and numpy are installed)', function () {
    const script = new URL('../../../scripts/aggregation/golden-rules.py', import.meta.url).pathname;
    if (spawnSync('/usr/bin/python3', ['-c', 'import numpy']).status !== 0) this.skip();
    const { status, stderr } = spawnSync('/usr/bin/python3', [script, '--check', goldenFile.pathname], {
      encoding: 'utf8',
    });
    assert.equal(status, 0, stderr);
  });
});

describe('aggregation rules in general', () => {
  const example = golden.find(({ updates }) => updates.length === 8)!;
  const parent = parentOf(example);
  const updates = updatesOf(example);

  it('do not depend on the order of arrival, to the bit', () => {
    for (const rule of ONE_FACTOR) {
      const once = change(rule, example, parent, updates, {});
      assert.deepEqual(change(rule, example, parent, updates.toReversed(), {}), once, rule);
    }
  });

  it('give every update back when all are the same', () => {
    for (const rule of ONE_FACTOR) {
      const same = Array.from({ length: 7 }, () => updates[6]!);
      const found = change(rule, example, parent, same, {});
      // Weights that do not add up to exactly one may cost the last digit.
      for (const [i, value] of updates[6]!.values.entries()) assert.ok(Math.abs(found[i]! - value) <= 1, rule);
    }
  });

  it('stay within the honest values in every coordinate: median and trimmed mean, whatever the hostile ones send', () => {
    const count = 10;
    const length = updates[0]!.values.length;
    const integer = fc.integer({ min: -(2 ** 20), max: 2 ** 20 });
    const extreme = fc.constantFrom(2 ** 31 - 1, -(2 ** 31 - 1), 0);
    const vector = (value: fc.Arbitrary<number>) => fc.array(value, { minLength: length, maxLength: length });
    const round = fc.tuple(
      fc.array(vector(integer), { minLength: count - 2, maxLength: count - 2 }),
      fc.array(vector(fc.oneof(integer, extreme)), { minLength: 2, maxLength: 2 }),
    );
    fc.assert(
      fc.property(round, ([honest, hostile]) => {
        const all = [...honest, ...hostile].map((values) => ({ ...updates[0]!, values: Int32Array.from(values) }));
        const zero = { ...parent, values: parent.values.map(() => 0) };
        for (const rule of ['median', 'trimmed-mean'] as const) {
          const found = change(rule, example, zero, all, {});
          for (let i = 0; i < length; i++) {
            const column = honest.map((values) => values[i]!);
            assert.ok(found[i]! >= Math.min(...column) && found[i]! <= Math.max(...column), rule);
          }
        }
      }),
      { numRuns: 1000 },
    );
  });

  it('are moved by one participant at the largest values no further than the honest ones are apart', () => {
    const honest = updates.slice(2);
    const largest = { ...updates[0]!, values: updates[0]!.values.map((_, i) => (i % 2 ? 1 : -1) * (2 ** 31 - 1)) };
    const apart = (a: ArrayLike<number>, b: ArrayLike<number>) =>
      norm({ ...updates[0]!, values: Int32Array.from(a, (value, i) => value - b[i]!) });
    let diameter = 0;
    for (const a of honest) for (const b of honest) diameter = Math.max(diameter, apart(a.values, b.values));
    const quiet = change('robust', example, parent, honest, {});
    const attacked = change('robust', example, parent, [...honest, largest], {});
    assert.ok(apart(quiet, attacked) <= 2 * diameter);
    const mean = change(
      'alternating',
      example,
      { ...parent, values: parent.values.map(() => 0) },
      [...honest, largest],
      {},
    );
    assert.ok(apart(quiet, mean) > 100 * diameter, 'the attack would not have moved the mean');
  });

  it('give a result where the other factor is zero, and all products with it', () => {
    const zero = { ...parent, values: parent.values.map(() => 0) };
    for (const rule of ONE_FACTOR) {
      assert.equal(change(rule, example, zero, updates, {}).length, updates[0]!.values.length, rule);
    }
  });

  it('leave out what is out of proportion, and say so: null products, giants, updates of nothing', () => {
    // The parent's A is the same in two directions of B, so their difference changes no product.
    const twin = { ...parent, values: parent.values.slice() };
    let at = 0;
    for (const { name, shape } of parent.table) {
      const [rows, columns] = shape as [number, number];
      if (name.includes('.lora_A.')) twin.values.copyWithin(at + columns, at, at + columns);
      at += rows * columns;
    }
    assert.equal(example.factor, 'B');
    const values = (make: (i: number) => number) => ({
      ...updates[0]!,
      values: updates[0]!.values.map((_, i) => make(i)),
    });
    const nothing = values(() => 0);
    const nullProduct = values((i) => [2 ** 24, -(2 ** 24), 0][i % example.rank]!);
    const giant = values((i) => 1000 * updates[6]!.values[i]!);
    const honest = updates.slice(2);
    const round = inOrderOfHash([...honest, nothing, nullProduct, giant]);
    const { leftOut, adapter } = aggregateRound({
      rule: 'robust',
      parameters: {},
      factor: 'B',
      parent: twin,
      ...round,
    });
    const reasons = Object.fromEntries(
      [nothing, nullProduct, giant].map((update, i) => {
        return [['nothing', 'null product', 'giant'][i], leftOut.get(sha256(encodeBlob(update)))];
      }),
    );
    assert.deepEqual(reasons, { nothing: 'EMPTY_UPDATE', 'null product': 'NORM_OUTLIER', giant: 'NORM_OUTLIER' });
    assert.equal(leftOut.size, 3);
    const alone = aggregateRound({
      rule: 'robust',
      parameters: {},
      factor: 'B',
      parent: twin,
      ...inOrderOfHash(honest),
    });
    const close = norm({ ...adapter, values: adapter.values.map((value, i) => value - alone.adapter.values[i]!) });
    assert.ok(close <= 1e-9 + norm(honest[0]!) / 10, `moved by ${close}`);
  });

  it('are refused with too few updates, and so is a federation whose quorum is too small for its rule', () => {
    assert.equal(fewestUpdates('robust', {}), 3);
    assert.equal(fewestUpdates('krum', { byzantineShare: 0.2 }), 5);
    assert.equal(fewestUpdates('krum', { byzantineShare: 0 }), 3);
    assertRefused(() => change('robust', example, parent, updates.slice(0, 2), {}), 'TOO_FEW_UPDATES');
    assertRefused(() => change('krum', example, parent, updates.slice(0, 4), {}), 'TOO_FEW_UPDATES');
    assertRefused(() => exampleFederation({ aggregation: { rule: 'robust', parameters: {} }, quorum: 2 }), 'MALFORMED');
    assert.equal(exampleFederation({ aggregation: { rule: 'robust', parameters: {} }, quorum: 3 }).content.quorum, 3);
  });
});

describe('blocks of coordinates', () => {
  const values = [Int32Array.from({ length: 23 }, (_, i) => i), Int32Array.from({ length: 23 }, (_, i) => -i)];
  const inputs = { updates: values, count: 2, length: 23 };
  const read = (ends?: number[], memory?: number) => {
    const parts = [...blocks(inputs, ends, memory)];
    for (const { start, slices } of parts) {
      for (const [n, slice] of slices.entries()) {
        assert.deepEqual(slice, values[n]!.slice(start, start + slice.length));
      }
    }
    return parts.map(({ start, slices }) => [start, start + slices[0]!.length]);
  };

  it('cover every coordinate once, within the memory given', () => {
    assert.deepEqual(read(undefined, 10 * 8), [
      [0, 10],
      [10, 20],
      [20, 23],
    ]);
    assert.deepEqual(read(), [[0, 23]]);
  });

  it('end where tensors end, and hold one at least', () => {
    assert.deepEqual(read([4, 9, 21, 23], 10 * 8), [
      [0, 9],
      [9, 21],
      [21, 23],
    ]);
  });
});
