/** A reader of GGUF files, written from the format's description and sharing nothing with the writer. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';

export interface ReadTensor {
  /** Innermost side first, as in the file. */
  readonly sides: number[];
  readonly type: number;
  readonly values: Float32Array;
}

export interface ReadGguf {
  readonly version: number;
  readonly metadata: Map<string, { readonly type: string; readonly value: unknown }>;
  readonly tensors: Map<string, ReadTensor>;
}

const ALIGNMENT = 32;

export function readGguf(file: string): ReadGguf {
  const bytes = readFileSync(file);
  let at = 0;
  const take = (count: number) => bytes.subarray(at, (at += count));
  const u32 = () => take(4).readUInt32LE();
  const u64 = () => Number(take(8).readBigUInt64LE());
  const string = () => take(u64()).toString('utf8');
  const scalar = (type: number): { type: string; value: unknown } => {
    switch (type) {
      case 4:
        return { type: 'u32', value: u32() };
      case 5:
        return { type: 'i32', value: take(4).readInt32LE() };
      case 6:
        return { type: 'f32', value: take(4).readFloatLE() };
      case 7:
        return { type: 'bool', value: take(1)[0] === 1 };
      case 8:
        return { type: 'string', value: string() };
      case 9: {
        const of = u32();
        const items = Array.from({ length: u64() }, () => scalar(of));
        return { type: `[${items[0]?.type}]`, value: items.map(({ value }) => value) };
      }
      default:
        throw new Error(`type ${type} at byte ${at}`);
    }
  };

  assert.equal(take(4).toString('latin1'), 'GGUF');
  const version = u32();
  const tensorCount = u64();
  const keyCount = u64();
  const metadata = new Map(Array.from({ length: keyCount }, () => [string(), scalar(u32())] as const));
  const table = Array.from({ length: tensorCount }, () => {
    return { name: string(), sides: Array.from({ length: u32() }, u64), type: u32(), offset: u64() };
  });
  const start = Math.ceil(at / ALIGNMENT) * ALIGNMENT;
  const tensors = new Map<string, ReadTensor>();
  let end = start;
  for (const { name, sides, type, offset } of table) {
    assert.equal(offset % ALIGNMENT, 0, `${name} is not aligned`);
    const count = sides.reduce((product, side) => product * side, 1);
    const view = new DataView(bytes.buffer, bytes.byteOffset + start + offset, count * (type === 0 ? 4 : 2));
    const values = Float32Array.from({ length: count }, (_, i) => {
      if (type === 0) return view.getFloat32(4 * i, true);
      if (type === 1) return view.getFloat16(2 * i, true);
      assert.equal(type, 30, `type of ${name}`);
      const wide = new DataView(new ArrayBuffer(4));
      wide.setUint16(2, view.getUint16(2 * i, true), true);
      return wide.getFloat32(0, true);
    });
    assert.ok(!tensors.has(name), `${name} occurs twice`);
    tensors.set(name, { sides, type, values });
    end = Math.max(end, start + offset + Math.ceil((count * (type === 0 ? 4 : 2)) / ALIGNMENT) * ALIGNMENT);
  }
  assert.equal(end, bytes.length, 'the file ends where its last tensor does');
  return { version, metadata, tensors };
}
