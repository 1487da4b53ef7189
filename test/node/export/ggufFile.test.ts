import assert from 'node:assert/strict';
import { mkdtempDisposable, readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { writeGguf, type GgufMetadata, type GgufTensor } from '../../../node/export/ggufFile.ts';
import { readGguf } from './ggufReading.ts';

const temporary = () => mkdtempDisposable(join(tmpdir(), 'prefmesh-gguf-'));

const tensor = (name: string, shape: number[], values: number[], dtype: GgufTensor['dtype'] = 'F32'): GgufTensor => {
  return { name, shape, dtype, read: () => Float32Array.from(values) };
};

describe('GGUF file', () => {
  it('holds every kind of key and every dtype as another reader finds them', async () => {
    await using folder = await temporary();
    const file = join(folder.path, 'a.gguf');
    const metadata: GgufMetadata = {
      count: { kind: 'uint32', value: 4_000_000_000 },
      ratio: { kind: 'float32', value: 0.5 },
      yes: { kind: 'bool', value: true },
      no: { kind: 'bool', value: false },
      text: { kind: 'string', value: 'é\n' },
      words: { kind: 'strings', value: ['Ġa', '', 'b'] },
      kinds: { kind: 'int32s', value: [-1, 6] },
      scores: { kind: 'float32s', value: [-1.5] },
    };
    await writeGguf(file, metadata, [
      tensor('one', [2, 3], [1, 2, 3, 4, 5, 6]),
      tensor('two', [3], [0.1, -2, 65504], 'F16'),
      tensor('three', [2], [1.00390625, 3e38], 'BF16'),
    ]);
    const read = readGguf(file);
    assert.equal(read.version, 3);
    assert.deepEqual(Object.fromEntries([...read.metadata].map(([key, { type, value }]) => [key, [type, value]])), {
      count: ['u32', 4_000_000_000],
      ratio: ['f32', 0.5],
      yes: ['bool', true],
      no: ['bool', false],
      text: ['string', 'é\n'],
      words: ['[string]', ['Ġa', '', 'b']],
      kinds: ['[i32]', [-1, 6]],
      scores: ['[f32]', [-1.5]],
    });
    assert.deepEqual([...read.tensors.keys()], ['one', 'two', 'three']);
    assert.deepEqual(read.tensors.get('one')!.sides, [3, 2]);
    assert.deepEqual([...read.tensors.get('one')!.values], [1, 2, 3, 4, 5, 6]);
    assert.deepEqual([...read.tensors.get('two')!.values], [0.0999755859375, -2, 65504]);
    // 1.00390625 lies halfway between two bfloat16 values, and 1 is the even one.
    assert.deepEqual([...read.tensors.get('three')!.values], [1, 3.00405527047391e38]);
  });

  it('rounds to bfloat16 as nearest does, ties to even', async () => {
    await using folder = await temporary();
    const file = join(folder.path, 'a.gguf');
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.float({ noNaN: true, min: Math.fround(-1e38), max: Math.fround(1e38) }), { minLength: 1 }),
        async (values) => {
          await writeGguf(file, {}, [tensor('t', [values.length], values, 'BF16')]);
          const read = readGguf(file).tensors.get('t')!.values;
          for (const [i, value] of values.entries()) {
            // Eight bits of mantissa: no other bfloat16 is nearer than half the spacing at this size.
            const spacing = 2 ** Math.max(Math.floor(Math.log2(Math.abs(value))) - 7, -133);
            assert.ok(Math.abs(read[i]! - value) <= spacing / 2, `${value} became ${read[i]}`);
          }
        },
      ),
      { numRuns: 40 },
    );
  });

  it('refuses a value that its dtype cannot hold, and leaves no file', async () => {
    await using folder = await temporary();
    for (const [dtype, value] of [
      ['F16', 65520],
      ['BF16', 3.4e38],
    ] as const) {
      await assert.rejects(
        writeGguf(join(folder.path, 'a.gguf'), {}, [tensor('good', [1], [1]), tensor('bad', [1], [value], dtype)]),
        { code: 'EXPORT_RANGE', details: { tensor: 'bad', value: String(Math.fround(value)), dtype } },
      );
    }
    assert.deepEqual(await readdir(folder.path), []);
  });
});
