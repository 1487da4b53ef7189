import assert from 'node:assert/strict';
import { openCheckpoint } from '../../../node/model/checkpoint.ts';
import { checkAdapterBase, factorRanges, initialAdapter, withAlpha } from '../../../node/training/adapter.ts';

const { config, ...checkpoint } = await openCheckpoint('test/oracle/llama/model');
const layout = { rank: 4, targets: ['q_proj', 'down_proj'] as const };

describe('LoRA adapter', () => {
  it('starts with B at zero and A uniform within one over the root of its inputs', () => {
    const adapter = initialAdapter(config, layout, 8, 1);
    for (const { factor, shape, offset } of adapter.table) {
      const values = adapter.vector.subarray(offset, offset + shape[0] * shape[1]);
      if (factor === 'B') {
        assert.ok(values.every((value) => value === 0));
        continue;
      }
      const bound = 1 / Math.sqrt(shape[1]);
      assert.ok(values.every((value) => Math.abs(value) <= bound));
      assert.ok(Math.max(...values) > 0.9 * bound && Math.min(...values) < -0.9 * bound);
      const variance = values.reduce((sum, value) => sum + value * value, 0) / values.length;
      assert.ok(Math.abs(variance / (bound ** 2 / 3) - 1) < 0.25, 'variance of a uniform');
    }
  });

  it('is decided by the seed', () => {
    const { vector } = initialAdapter(config, layout, 8, 1);
    assert.deepEqual(initialAdapter(config, layout, 8, 1).vector, vector);
    assert.notDeepEqual(initialAdapter(config, layout, 8, 2).vector, vector);
  });

  it('keeps its effect when its alpha is changed', () => {
    const adapter = initialAdapter(config, layout, 8, 1);
    adapter.vector.fill(0.5);
    const other = withAlpha(adapter, 4);
    for (const { start } of factorRanges(adapter.table, 'A')) assert.equal(other.vector[start], 0.5);
    for (const { start } of factorRanges(adapter.table, 'B')) assert.equal(other.vector[start], 1);
    assert.equal(adapter.vector[0], 0.5);
  });

  it('is made of its two factors', () => {
    const { table, vector } = initialAdapter(config, layout, 8, 1);
    const size = (factor: 'both' | 'A' | 'B') =>
      factorRanges(table, factor).reduce((sum, { start, end }) => sum + end - start, 0);
    // Two layers; q: A [4, 32], B [32, 4]; down: A [4, 64], B [32, 4].
    assert.equal(size('A'), 2 * (128 + 256));
    assert.equal(size('B'), 2 * (128 + 128));
    assert.equal(size('both'), vector.length);
  });

  it('is refused on another base, and taken where it names none', () => {
    const adapter = initialAdapter(config, layout, 8, 1);
    const model = { config, ...checkpoint };
    checkAdapterBase(adapter, model, 'a');
    checkAdapterBase({ ...adapter, baseHash: model.hash }, model, 'a');
    assert.throws(() => checkAdapterBase({ ...adapter, baseHash: 'f'.repeat(64) }, model, 'a'), {
      code: 'ADAPTER_OTHER_BASE',
      exitCode: 5,
    });
  });
});
