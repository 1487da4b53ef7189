import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { NF4_LEVELS } from '../../../../node/engine/byteTable.ts';
import { DYNAMIC_MAP } from '../../../../node/model/quantization/dynamicMap.ts';
import { dequantizeInt4, quantizeInt4 } from '../../../../node/model/quantization/int4.ts';
import { dequantizeNf4, quantizeNf4 } from '../../../../node/model/quantization/nf4.ts';

interface GoldenCase {
  readonly name: string;
  readonly count: number;
  readonly weights: string;
  readonly input: string;
  readonly nf4: {
    readonly codes: string;
    readonly absmax: string;
    readonly nestedAbsmax: string;
    readonly offset: number;
    readonly dequantized: string;
  };
  readonly int4: { readonly codes: string; readonly scales: string; readonly dequantized: string } | null;
}

const golden = JSON.parse(readFileSync(new URL('./golden.json', import.meta.url), 'utf8')) as {
  dynamicMap: string;
  cases: GoldenCase[];
};

describe('the 4-bit quantisers', () => {
  it('have the dynamic map of a second implementation, bit for bit', () => {
    assert.equal(bytesOf(DYNAMIC_MAP).toString('hex'), golden.dynamicMap);
  });

  for (const { name, count, weights, input, nf4, int4 } of golden.cases) {
    const numbers = weights === 'made' ? made(count) : floats(weights);

    it(`give the bits of a second implementation in NF4: ${name}`, () => {
      assert.equal(createHash('sha256').update(bytesOf(numbers)).digest('hex'), input);
      const quantized = quantizeNf4(numbers);
      assert.equal(shown(quantized.codes), nf4.codes);
      assert.equal(shown(quantized.absmax), nf4.absmax);
      assert.equal(shown(quantized.nestedAbsmax), nf4.nestedAbsmax);
      assert.equal(quantized.offset, nf4.offset);
      assert.equal(shown(dequantizeNf4(quantized, count)), nf4.dequantized);
    });

    if (int4 !== null) {
      it(`give the bits of a second implementation in int4: ${name}`, () => {
        const quantized = quantizeInt4(numbers);
        assert.equal(shown(quantized.codes), int4.codes);
        assert.equal(shown(quantized.scales), int4.scales);
        assert.equal(shown(dequantizeInt4(quantized)), int4.dequantized);
      });
    }
  }

  it('keep weights that lie on levels, and leave a block of zeros at zero', () => {
    const levels = Float32Array.from({ length: 128 }, (_, i) => (i < 64 ? 0.5 * NF4_LEVELS[i % 16]! : 0));
    const back = dequantizeNf4(quantizeNf4(levels), 128);
    assert.deepEqual(back, levels);
    const steps = Float32Array.from({ length: 32 }, (_, i) => ((i % 16) - 8) / 4);
    assert.deepEqual(dequantizeInt4(quantizeInt4(steps)), steps);
  });
});

/** The weights that `scripts/quantization-golden.py` makes: no rounding anywhere. */
function made(count: number): Float32Array {
  return Float32Array.from({ length: count }, (_, i) => {
    const centred = (Math.imul(i, 2654435761) >>> 8) / 2 ** 24 - 0.5;
    return centred / 2 ** ((Math.floor(i / 64) * 5) % 7);
  });
}

function shown(numbers: Uint8Array | Float32Array): string {
  const bytes = bytesOf(numbers);
  if (bytes.length <= 512) return bytes.toString('hex');
  return `sha256 ${createHash('sha256').update(bytes).digest('hex')}`;
}

function bytesOf({ buffer, byteOffset, byteLength }: Uint8Array | Float32Array): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength);
}

function floats(hex: string): Float32Array {
  return new Float32Array(new Uint8Array(Buffer.from(hex, 'hex')).buffer);
}
