import assert from 'node:assert/strict';
import fc from 'fast-check';
import { Packr } from 'msgpackr';
import { z } from 'zod';
import { decode, encode } from '../../protocol/codec.ts';
import type { WireValue } from '../../protocol/codec.ts';
import { isPrefmeshError } from '../../protocol/errors.ts';
import { LIMITS } from '../../protocol/limits.ts';
import { assertRefused } from './refusal.ts';

const anything = { what: 'value', maxBytes: 1_000_000 };
const read = (bytes: Uint8Array) => decode(bytes, z.unknown(), anything);
const hex = (text: string) => new Uint8Array(Buffer.from(text.replaceAll(' ', ''), 'hex'));

const key = fc.string({ maxLength: 12 }).filter((name) => name !== '__proto__');
const { value: wireValue } = fc.letrec<{ value: WireValue }>((tie) => ({
  value: fc.oneof(
    { maxDepth: LIMITS.wireDepth.value - 1, withCrossShrink: true },
    fc.constant(null),
    fc.boolean(),
    fc.maxSafeInteger(),
    fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => (value === 0 ? 0 : value)),
    fc.string(),
    fc.uint8Array({ maxLength: 40 }),
    fc.array(tie('value'), { maxLength: 5 }),
    fc.dictionary(key, tie('value'), { maxKeys: 5, noNullPrototype: true }),
  ),
}));

describe('codec', () => {
  it('reads back what it wrote', () => {
    fc.assert(fc.property(wireValue, (value) => assert.deepEqual(read(encode(value)), value)));
  });

  it('writes the forms that the specification shows', () => {
    const written = Buffer.from(encode({ a: 1, t: 1_790_000_000_000, b: Uint8Array.of(7), n: null })).toString('hex');
    assert.equal(written, '84' + 'a161' + '01' + 'a174' + 'cb427a0c4506c00000' + 'a162' + 'c40107' + 'a16e' + 'c0');
  });

  it('leaves the bytes that it reads as they are', () => {
    const bytes = encode({ a: 1 });
    read(bytes);
    assert.deepEqual(Object.keys(bytes), Object.keys(encode({ a: 1 })));
    assert.deepEqual(bytes, encode({ a: 1 }));
  });

  it('takes an integer in any numeric form', () => {
    for (const form of [
      '07',
      'cc 07',
      'cd 0007',
      'ce 00000007',
      'cf 0000000000000007',
      'd0 07',
      'd3 0000000000000007',
    ]) {
      assert.equal(decode(hex(form), z.int(), anything), 7);
    }
    assert.equal(decode(hex('cb 401c000000000000'), z.int(), anything), 7);
  });

  const refused: Record<string, string> = {
    'nothing at all': '',
    'bytes after the end': '01 02',
    'a text that ends too early': 'a5 61 62',
    'a binary longer than the input': 'c6 ffffffff 00',
    'an array longer than the input': 'dd ffffffff c0',
    'a map longer than the input': 'df ffffffff',
    'a key given twice': '82 a161 01 a161 02',
    'a key that is a number': '81 01 02',
    'a key that is binary': '81 c40161 02',
    'the key __proto__': '81 a95f5f70726f746f5f5f 80',
    'text that is not UTF-8': 'a2 c328',
    'text in an overlong form': 'a2 c0af',
    'half of a surrogate pair': 'a3 eda080',
    'a float 32': 'ca 3f800000',
    'not a number': 'cb 7ff8000000000000',
    infinity: 'cb 7ff0000000000000',
    'an unsigned integer above 2^53': 'cf 0020000000000001',
    'a signed integer below -2^53': 'd3 ffdfffffffffffff',
    'the unused tag': 'c1',
    'an extension': 'd4 01 00',
    'a timestamp extension': 'd6 ff 00000000',
    'a record definition of msgpackr': 'd4 72 40 91 a161',
    'an undefined of msgpackr': 'd4 00 00',
    'a long extension': 'c7 01 05 00',
  };
  for (const [name, bytes] of Object.entries(refused)) {
    it(`refuses ${name}`, () => assertRefused(() => read(hex(bytes)), 'MALFORMED'));
  }

  it('refuses what other writers of MessagePack make of big integers, maps and dates', () => {
    const liberal = new Packr({ moreTypes: true, structuredClone: true });
    for (const value of [2n ** 60n, new Map([[1, 2]]), new Date(0), new Set([1]), undefined, /a/]) {
      assertRefused(() => read(new Uint8Array(liberal.pack(value))), 'MALFORMED');
    }
  });

  it('refuses a nesting one deeper than the bound and takes the bound', () => {
    const nested = (depth: number) => Uint8Array.from([...Array.from({ length: depth }, () => 0x91), 0xc0]);
    read(nested(LIMITS.wireDepth.value));
    assertRefused(() => read(nested(LIMITS.wireDepth.value + 1)), 'MALFORMED');
    assertRefused(() => read(nested(900_000)), 'MALFORMED');
  });

  it('refuses one item more than the bound and takes the bound', () => {
    const list = (length: number) =>
      Buffer.concat([hex('dd'), Buffer.from([0, 0, length >> 8, length & 255]), Buffer.alloc(length, 0xc0)]);
    read(list(LIMITS.wireItems.value - 1));
    assertRefused(() => read(list(LIMITS.wireItems.value)), 'MALFORMED');
  });

  it('refuses too many bytes before it decodes one', () => {
    assertRefused(
      () => decode(new Uint8Array(11).fill(0xc1), z.unknown(), { what: 'value', maxBytes: 10 }),
      'OVERSIZED',
    );
  });

  it('names the field that does not fit, and never its value', () => {
    const schema = z.strictObject({ outer: z.strictObject({ count: z.int() }) });
    try {
      decode(encode({ outer: { count: 'private words' } }), schema, { what: 'example', maxBytes: 100 });
      assert.fail('not refused');
    } catch (error) {
      assert.ok(isPrefmeshError(error, 'MALFORMED'));
      assert.match(error.message, /outer\.count/);
      assert.doesNotMatch(error.message, /private words/);
    }
  });

  it('refuses a field that the schema does not know', () => {
    const schema = z.strictObject({ a: z.int() });
    assertRefused(() => decode(encode({ a: 1, b: 2 }), schema, anything), 'MALFORMED');
  });

  it('does not write what it would not read', () => {
    for (const value of [NaN, undefined, new Date(0), { a: undefined }, 1n << 60n]) {
      assertRefused(() => encode(value as unknown as WireValue), 'MALFORMED');
    }
  });
});
