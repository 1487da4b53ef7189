import assert from 'node:assert/strict';
import fc from 'fast-check';
import { isPrefmeshError } from '../../protocol/errors.ts';
import { sha256 } from '../../protocol/names.ts';
import { blobBytes, checkBlob, decodeBlob, encodeBlob, tableHash, valueCount } from '../../protocol/tensorBlob.ts';
import type { FixedPointTensors, TensorShape } from '../../protocol/tensorBlob.ts';
import { addDelta, dequantize, factorTable, norm, quantize } from '../../protocol/update.ts';
import { BITS, ENTRIES, exampleUpdate, initialAdapter, initialBlob, VECTOR_LENGTH } from './exampleFederation.ts';
import { mutate, randomBytes, seededIntegers } from './randomInputs.ts';
import { assertRefused } from './refusal.ts';

const one: readonly TensorShape[] = [{ name: 'a', shape: [1] }];
const single = (value: number, bits = BITS) => quantize(Float32Array.of(value), [{ ...one[0]!, offset: 0 }], bits);

const name = fc.string({ unit: fc.constantFrom(...'abcz019_.-'.split('')), minLength: 1, maxLength: 20 });
const table = fc
  .uniqueArray(
    fc.record(
      { name, shape: fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 4 }) },
      { noNullPrototype: true },
    ),
    {
      minLength: 1,
      maxLength: 5,
      selector: (tensor) => tensor.name,
    },
  )
  .map((tensors) => tensors.sort((a, b) => (a.name < b.name ? -1 : 1)));
const tensors: fc.Arbitrary<FixedPointTensors> = fc
  .tuple(table, fc.integer({ min: 1, max: 30 }))
  .chain(([shapes, bits]) => {
    const count = shapes.reduce((total, tensor) => total + valueCount(tensor), 0);
    return fc
      .array(fc.integer({ min: -(2 ** 31 - 1), max: 2 ** 31 - 1 }), { minLength: count, maxLength: count })
      .map((values) => ({ bits, table: shapes, values: Int32Array.from(values) }));
  });

describe('quantised updates', () => {
  it('are the nearest integers at the scale, half away from zero', () => {
    const cases: [number, number][] = [
      [0, 0],
      [1, 65_536],
      [-1, -65_536],
      [0.5 / 65_536, 1],
      [-0.5 / 65_536, -1],
      [0.49 / 65_536, 0],
      [1.5 / 65_536, 2],
      [-2.5 / 65_536, -3],
    ];
    for (const [value, integer] of cases) assert.equal(single(value).values[0], integer, `${value}`);
    assert.ok(Object.is(single(-0).values[0], 0));
  });

  it('come back within half a step of what they were, at their places', () => {
    fc.assert(
      fc.property(
        fc.array(fc.float({ min: -100, max: 100, noNaN: true }), { minLength: 14, maxLength: 14 }),
        (values) => {
          const vector = Float32Array.from(values);
          const back = dequantize(quantize(vector, ENTRIES, BITS), ENTRIES, VECTOR_LENGTH);
          for (let i = 0; i < VECTOR_LENGTH; i++) assert.ok(Math.abs(back[i]! - vector[i]!) <= 2 ** -(BITS + 1) * 1.01);
        },
      ),
    );
  });

  it('are ordered by name whatever the order of the vector', () => {
    const vector = Float32Array.from({ length: VECTOR_LENGTH }, (_, i) => i);
    const quantised = quantize(vector, ENTRIES, 0 + BITS);
    assert.deepEqual(
      quantised.table.map((tensor) => tensor.shape),
      [
        [2, 3],
        [4, 2],
      ],
    );
    assert.deepEqual(
      [...quantised.values].map((value) => value / 2 ** BITS),
      [...vector],
    );
    assert.deepEqual(quantize(vector, ENTRIES.toReversed(), BITS), quantised);
  });

  it('refuse a value that is not finite, naming its tensor', () => {
    for (const value of [NaN, Infinity, -Infinity]) assertRefused(() => single(value), 'NOT_FINITE');
    try {
      quantize(new Float32Array(VECTOR_LENGTH).fill(NaN, 6), ENTRIES, BITS);
      assert.fail('not refused');
    } catch (error) {
      assert.ok(isPrefmeshError(error, 'NOT_FINITE'));
      assert.match(error.message, /lora_B/);
    }
  });

  it('refuse a value that does not fit 32 bits, and take the largest that does', () => {
    assert.equal(single(2 ** 31 - 128, 0).values[0], 2 ** 31 - 128);
    assertRefused(() => single(2 ** 31, 0), 'OUT_OF_RANGE');
    assertRefused(() => single(-(2 ** 15), BITS), 'OUT_OF_RANGE');
  });

  it('refuse a vector that is too short for its entries', () => {
    assertRefused(() => quantize(new Float32Array(3), ENTRIES, BITS), 'NOT_FINITE');
  });

  it('are not put into a vector of other tensors', () => {
    const other = ENTRIES.map((entry) => ({ ...entry, shape: entry.shape.toReversed() }));
    assertRefused(() => dequantize(initialAdapter, other, VECTOR_LENGTH), 'WRONG_TENSOR_TABLE');
    assertRefused(() => dequantize(initialAdapter, ENTRIES.slice(1), VECTOR_LENGTH), 'WRONG_TENSOR_TABLE');
  });

  it('have the L2 norm of the floats they stand for', () => {
    assert.equal(norm({ bits: 1, table: [{ name: 'a', shape: [2] }], values: Int32Array.of(6, -8) }), 5);
    assert.equal(norm(single(0)), 0);
  });

  it('add to an adapter at their tensors only', () => {
    const changed = addDelta(initialAdapter, exampleUpdate(0.5, 'B'));
    const [a, b] = initialAdapter.table.map(valueCount) as [number, number];
    assert.deepEqual(changed.values.subarray(0, a), initialAdapter.values.subarray(0, a));
    assert.deepEqual(
      [...changed.values.subarray(a)],
      Array.from({ length: b }, () => 2 ** (BITS - 1)),
    );
  });

  it('do not add to an adapter without their tensors, at another scale, or beyond 32 bits', () => {
    assertRefused(() => addDelta(initialAdapter, single(1)), 'WRONG_TENSOR_TABLE');
    assertRefused(() => addDelta(single(1, 8), single(1, 9)), 'WRONG_TENSOR_TABLE');
    assertRefused(() => addDelta(single(2 ** 30, 0), single(2 ** 30, 0)), 'OUT_OF_RANGE');
  });

  it('have the tensors of their factor', () => {
    assert.equal(factorTable(initialAdapter.table, 'both').length, 2);
    assert.match(factorTable(initialAdapter.table, 'A')[0]!.name, /lora_A/);
    assertRefused(() => factorTable(one, 'A'), 'WRONG_TENSOR_TABLE');
  });
});

describe('blob', () => {
  it('reads back what it was made of, from the bytes that its table says', () => {
    fc.assert(
      fc.property(tensors, (value) => {
        const bytes = encodeBlob(value);
        assert.equal(bytes.length, blobBytes(value.table));
        assert.deepEqual(decodeBlob(bytes), value);
        assert.deepEqual(decodeBlob(bytes, value), value);
      }),
    );
  });

  it('has one encoding: whatever is read is written to the same bytes', () => {
    fc.assert(
      fc.property(tensors, fc.nat(), fc.nat(255), (value, at, byte) => {
        const bytes = encodeBlob(value);
        bytes[at % bytes.length] = byte;
        let read: FixedPointTensors;
        try {
          read = decodeBlob(bytes);
        } catch (error) {
          assert.ok(isPrefmeshError(error));
          return;
        }
        assert.deepEqual(encodeBlob(read), bytes);
      }),
      { numRuns: 2_000 },
    );
  });

  it('survives 100,000 random inputs', () => {
    const integer = seededIntegers(20_251);
    for (let run = 0; run < 100_000; run++) {
      const bytes =
        run % 2
          ? mutate(integer, initialBlob)
          : Buffer.concat([initialBlob.subarray(0, 16), randomBytes(integer, 200)]);
      let read: FixedPointTensors;
      try {
        read = decodeBlob(bytes);
      } catch (error) {
        if (isPrefmeshError(error)) continue;
        throw error;
      }
      assert.deepEqual(Buffer.from(encodeBlob(read)), Buffer.from(bytes), `input ${run}`);
    }
  }).timeout(300_000);

  /** The initial blob with bytes replaced from a place on. */
  const patched = (at: number, ...bytes: number[]) => {
    const blob = Uint8Array.from(initialBlob);
    blob.set(bytes, at);
    return blob;
  };

  it('refuses another beginning, version, scale or reserved byte', () => {
    assertRefused(() => decodeBlob(patched(0, 0)), 'MALFORMED_BLOB');
    assertRefused(() => decodeBlob(patched(8, 2)), 'MALFORMED_BLOB');
    assertRefused(() => decodeBlob(patched(10, 31)), 'MALFORMED_BLOB');
    assertRefused(() => decodeBlob(patched(11, 1)), 'MALFORMED_BLOB');
  });

  it('refuses names out of order, given twice, or not plain', () => {
    const [a, b] = initialAdapter.table as [TensorShape, TensorShape];
    for (const wrong of [[b, a], [a, a], [{ ...a, name: '' }], [{ ...a, name: 'é' }], [{ ...a, name: 'a b' }], []]) {
      assertRefused(() => encodeBlob({ bits: BITS, table: wrong, values: new Int32Array(0) }), 'MALFORMED_BLOB');
    }
    const twoLetters = encodeBlob({
      bits: BITS,
      table: [
        { name: 'a', shape: [1] },
        { name: 'b', shape: [1] },
      ],
      values: Int32Array.of(1, 2),
    });
    const swapped = Uint8Array.from(twoLetters);
    swapped[18] = 'b'.charCodeAt(0);
    assertRefused(() => decodeBlob(swapped), 'MALFORMED_BLOB');
  });

  it('refuses a shape of no values, too many dimensions, or more values than a blob may have', () => {
    for (const shape of [[], [0], [1, 1, 1, 1, 1], [2 ** 24, 2 ** 24], [2 ** 25], [1.5]]) {
      assertRefused(() => tableHash([{ name: 'a', shape }], BITS), 'MALFORMED_BLOB');
    }
  });

  it('refuses a byte too many, one too few, and padding that is not zero', () => {
    assertRefused(() => decodeBlob(Buffer.concat([initialBlob, Buffer.alloc(1)])), 'MALFORMED_BLOB');
    assertRefused(() => decodeBlob(initialBlob.subarray(0, -1)), 'MALFORMED_BLOB');
    const bytes = encodeBlob(single(1));
    assert.equal(bytes.length, 28, 'head of 24 bytes, no padding');
    const padded = encodeBlob({ bits: BITS, table: [{ name: 'ab', shape: [1] }], values: Int32Array.of(1) });
    assert.equal(padded.length, 32, 'head of 25 bytes and 3 of padding');
    padded[27] = 1;
    assertRefused(() => decodeBlob(padded), 'MALFORMED_BLOB');
  });

  it('refuses the integer that stands for no number', () => {
    const at = initialBlob.length - 4;
    assertRefused(() => decodeBlob(patched(at, 0, 0, 0, 0x80)), 'NOT_FINITE');
    assertRefused(() => encodeBlob({ bits: BITS, table: one, values: Int32Array.of(-(2 ** 31)) }), 'NOT_FINITE');
  });

  it('refuses other tensors, shapes or scale than expected, and a length beyond them first', () => {
    const bytes = encodeBlob(exampleUpdate(1, 'B'));
    assertRefused(() => decodeBlob(bytes, exampleUpdate(1, 'A')), 'OVERSIZED');
    assertRefused(() => decodeBlob(encodeBlob(exampleUpdate(1, 'A')), exampleUpdate(1, 'B')), 'WRONG_TENSOR_TABLE');
    assertRefused(() => decodeBlob(bytes, { ...exampleUpdate(1, 'B'), bits: BITS + 1 }), 'WRONG_TENSOR_TABLE');
  });

  it('is known by its hash', () => {
    checkBlob(initialBlob, sha256(initialBlob));
    assertRefused(() => checkBlob(patched(20, 0), sha256(initialBlob)), 'BLOB_MISMATCH');
  });

  it('reads from the middle of a larger buffer', () => {
    const larger = Buffer.concat([Buffer.alloc(3), initialBlob, Buffer.alloc(5)]);
    assert.deepEqual(decodeBlob(larger.subarray(3, 3 + initialBlob.length)), initialAdapter);
  });
});
