import assert from 'node:assert/strict';
import { mkdtempDisposable, readdir, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readSafetensorsIndex, readTensor, writeSafetensors } from '../../../node/model/safetensors.ts';

const temporary = () => mkdtempDisposable(join(tmpdir(), 'prefmesh-safetensors-'));

/** A file from a header as it shall stand, and data bytes. */
async function craft(
  folder: string,
  header: string | object,
  data: Uint8Array,
  headerLength?: bigint,
): Promise<string> {
  const json = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(headerLength ?? BigInt(json.length));
  const file = join(folder, 'crafted.safetensors');
  await writeFile(file, Buffer.concat([length, json, data]));
  return file;
}

/** Raw float32 bit patterns, so that signed zero and NaN payloads are compared too. */
const bits = (values: Float32Array) => [...new Uint32Array(values.buffer, values.byteOffset, values.length)];

describe('safetensors', () => {
  it('reads back what it wrote, whatever the order given', async () => {
    await using folder = await temporary();
    const file = join(folder.path, 'a.safetensors');
    const tensors = [
      { name: 'b', shape: [2, 3], data: Float32Array.of(1, -2, 3.5, 1e-45, Infinity, -0) },
      { name: 'a', shape: [], data: Float32Array.of(7) },
      { name: 'empty', shape: [0, 4], data: new Float32Array() },
    ];
    await writeSafetensors(file, tensors);
    const index = readSafetensorsIndex(file);
    assert.deepEqual(index.metadata, { format: 'pt' });
    assert.deepEqual([...index.tensors.keys()].sort(), ['a', 'b', 'empty']);
    for (const { name, shape, data } of tensors) {
      const location = index.tensors.get(name)!;
      assert.deepEqual(location.shape, shape);
      assert.deepEqual(bits(readTensor(location)), bits(data));
    }
    const first = await readFile(file);
    await writeSafetensors(file, tensors.toReversed());
    assert.deepEqual(await readFile(file), first);
    assert.deepEqual(await readdir(folder.path), ['a.safetensors']);
  });

  it('reads files written elsewhere', () => {
    const index = readSafetensorsIndex('test/oracle/llama/model/model.safetensors');
    assert.equal(index.tensors.size, 21);
    const norm = readTensor(index.tensors.get('model.norm.weight')!);
    assert.equal(norm.length, 32);
    assert.ok(norm.every((value) => Math.abs(value) < 10 && value !== 0));
  });

  it('widens F16 exactly, subnormals, infinities and NaN included', async () => {
    await using folder = await temporary();
    const halves = [0, 0x8000, 1, 0x03ff, 0x0400, 0x3c00, 0x3555, 0x7bff, 0x7c00, 0xfc00, 0xc000];
    const data = new Uint8Array(Uint16Array.from([...halves, 0x7e01]).buffer);
    const file = await craft(folder.path, { x: { dtype: 'F16', shape: [12], data_offsets: [0, 24] } }, data);
    const read = readTensor(readSafetensorsIndex(file).tensors.get('x')!);
    assert.deepEqual(
      bits(read.subarray(0, 11)),
      [
        0, 0x80000000, 0x33800000, 0x387fc000, 0x38800000, 0x3f800000, 0x3eaaa000, 0x477fe000, 0x7f800000, 0xff800000,
        0xc0000000,
      ],
    );
    assert.ok(Number.isNaN(read[11]));
  });

  it('widens BF16 exactly, subnormals, infinities and NaN included', async () => {
    await using folder = await temporary();
    const halves = [0, 0x8000, 1, 0x007f, 0x0080, 0x3f80, 0x3eab, 0x7f7f, 0x7f80, 0xff80, 0x7fc1, 0xc000];
    const data = new Uint8Array(Uint16Array.from(halves).buffer);
    const file = await craft(folder.path, { x: { dtype: 'BF16', shape: [3, 4], data_offsets: [0, 24] } }, data);
    const read = readTensor(readSafetensorsIndex(file).tensors.get('x')!);
    assert.deepEqual(
      bits(read),
      halves.map((half) => half * 0x10000),
    );
  });

  it('rounds to the nearest half, ties to even, when it writes F16', async () => {
    await using folder = await temporary();
    const file = join(folder.path, 'half.safetensors');
    const data = Float32Array.of(1.00048828125, 1.00146484375, 65519.9, 1e-8, 2 ** -24, 2 ** -25, -0.1);
    await writeSafetensors(file, [{ name: 'x', shape: [7], data }], { format: 'pt' }, 'F16');
    const location = readSafetensorsIndex(file).tensors.get('x')!;
    assert.equal(location.dtype, 'F16');
    const stored = (await readFile(file)).subarray(location.offset, location.offset + location.bytes);
    assert.deepEqual([...new Uint16Array(new Uint8Array(stored).buffer)], [0x3c00, 0x3c02, 0x7bff, 0, 1, 0, 0xae66]);
    const beyond = [{ name: 'x', shape: [1], data: Float32Array.of(65520) }];
    await assert.rejects(writeSafetensors(file, beyond, { format: 'pt' }, 'F16'), { code: 'EXPORT_RANGE' });
  });

  const good = { dtype: 'F32', shape: [2], data_offsets: [0, 8] };
  const data = new Uint8Array(8);
  for (const { it: what, header, tensor, length, bytes = data } of [
    { it: 'a header longer than the file', header: { x: good }, tensor: '(header)', length: 1n << 40n },
    { it: 'a header length beyond any number', header: { x: good }, tensor: '(header)', length: (1n << 64n) - 1n },
    { it: 'a header that is not JSON', header: '{"x":', tensor: '(header)' },
    { it: 'a header that is no object', header: '[]', tensor: '(header)' },
    {
      it: 'a name that occurs twice',
      header: `{"x":${JSON.stringify(good)},"y":{"dtype":"F32","shape":[0],"data_offsets":[8,8]},"x":${JSON.stringify(good)}}`,
      tensor: 'x',
    },
    { it: 'a tensor outside the file', header: { x: { ...good, data_offsets: [8, 16] } }, tensor: 'x' },
    { it: 'a range that runs backwards', header: { x: { ...good, data_offsets: [8, 0] } }, tensor: 'x' },
    { it: 'a length that does not fit the shape', header: { x: { ...good, shape: [3] } }, tensor: 'x' },
    { it: 'a shape whose product overflows', header: { x: { ...good, shape: [2 ** 52, 2 ** 52] } }, tensor: 'x' },
    { it: 'a negative side', header: { x: { ...good, shape: [-2] } }, tensor: 'x' },
    { it: 'a dtype that is not read', header: { x: { ...good, dtype: 'I64', shape: [1] } }, tensor: 'x' },
    { it: 'overlapping tensors', header: { x: good, y: good }, tensor: 'y' },
    {
      it: 'a gap between tensors',
      header: { x: { ...good, shape: [1], data_offsets: [0, 4] }, y: { ...good, shape: [1], data_offsets: [8, 12] } },
      tensor: 'y',
      bytes: new Uint8Array(12),
    },
    { it: 'bytes after the last tensor', header: { x: good }, tensor: '(header)', bytes: new Uint8Array(12) },
    { it: 'metadata that is not text', header: { __metadata__: { format: 1 }, x: good }, tensor: '(header)' },
  ]) {
    it(`refuses ${what}, naming file and tensor`, async () => {
      await using folder = await temporary();
      const file = await craft(folder.path, header, bytes, length);
      assert.throws(
        () => readSafetensorsIndex(file),
        (error: { code: string; details: object }) => {
          assert.equal(error.code, 'WEIGHTS_INVALID');
          assert.deepEqual({ ...error.details, problem: '' }, { file, tensor, problem: '' });
          return true;
        },
      );
    });
  }

  it('refuses a file that was cut short', async () => {
    await using folder = await temporary();
    const whole = await readFile('test/oracle/llama/model/model.safetensors');
    const file = join(folder.path, 'cut.safetensors');
    await writeFile(file, whole.subarray(0, whole.length - 1));
    assert.throws(() => readSafetensorsIndex(file), { code: 'WEIGHTS_INVALID' });
    await writeFile(file, whole.subarray(0, 5));
    assert.throws(() => readSafetensorsIndex(file), { code: 'WEIGHTS_INVALID' });
  });

  it('leaves the old file in place when the new one cannot be written', async () => {
    await using folder = await temporary();
    const missing = join(folder.path, 'absent', 'a.safetensors');
    await assert.rejects(writeSafetensors(missing, []), { code: 'STORAGE_FAILED' });
    const file = join(folder.path, 'a.safetensors');
    await writeSafetensors(file, [{ name: 'x', shape: [1], data: Float32Array.of(1) }]);
    const failing = {
      name: 'x',
      shape: [1],
      get data(): Float32Array {
        throw new Error('unreadable');
      },
    };
    await assert.rejects(writeSafetensors(file, [failing]), /unreadable/);
    assert.equal(readTensor(readSafetensorsIndex(file).tensors.get('x')!)[0], 1);
    assert.deepEqual(await readdir(folder.path), ['a.safetensors']);
  });
});
