/**
 * A reader of TensorBoard event files that shares nothing with the writer: checksums bit by bit, protocol buffers by
 * hand. It refuses what TensorBoard would: a bad checksum, a length that does not fit, a field of another wire type.
 */
import assert from 'node:assert/strict';

export interface ReadEvent {
  readonly wallTime: number;
  readonly step: number;
  readonly fileVersion: string | undefined;
  readonly scalars: Readonly<Record<string, number>>;
}

export function readEvents(file: Buffer): ReadEvent[] {
  const events: ReadEvent[] = [];
  for (let at = 0; at < file.length;) {
    const length = file.readUInt32LE(at);
    assert.equal(file.readUInt32LE(at + 4), 0, 'upper half of the length');
    assert.equal(file.readUInt32LE(at + 8), maskedBitwise(file.subarray(at, at + 8)), 'checksum of the length');
    const data = file.subarray(at + 12, at + 12 + length);
    assert.equal(data.length, length);
    assert.equal(file.readUInt32LE(at + 12 + length), maskedBitwise(data), 'checksum of the data');
    events.push(readEvent(data));
    at += 16 + length;
  }
  return events;
}

function maskedBitwise(bytes: Uint8Array): number {
  let crc = 0xffffffffn;
  for (const byte of bytes) {
    crc ^= BigInt(byte);
    for (let bit = 0; bit < 8; bit++) crc = crc % 2n === 1n ? (crc / 2n) ^ 0x82f63b78n : crc / 2n;
  }
  crc ^= 0xffffffffn;
  return Number((((crc / 32768n) | ((crc * 131072n) % 2n ** 32n)) + 0xa282ead8n) % 2n ** 32n);
}

type Field = { readonly field: number; readonly value: bigint | Buffer };

function* fields(message: Buffer): Generator<Field> {
  let at = 0;
  const varint = () => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = message[at++];
      assert.ok(byte !== undefined, 'a number runs over the end');
      value += BigInt(byte & 127) << shift;
      if (byte < 128) return value;
    }
  };
  const take = (count: number) => {
    at += count;
    assert.ok(at <= message.length, 'a field runs over the end');
    return message.subarray(at - count, at);
  };
  while (at < message.length) {
    const key = Number(varint());
    const [field, wire] = [key >> 3, key & 7];
    const value = wire === 0 ? varint() : take(wire === 1 ? 8 : wire === 5 ? 4 : Number(varint()));
    yield { field, value };
  }
}

function readEvent(message: Buffer): ReadEvent {
  let event = { wallTime: 0, step: 0, fileVersion: undefined as string | undefined };
  const scalars: Record<string, number> = {};
  for (const { field, value } of fields(message)) {
    if (field === 1) event = { ...event, wallTime: (value as Buffer).readDoubleLE() };
    else if (field === 2) event = { ...event, step: Number(value as bigint) };
    else if (field === 3) event = { ...event, fileVersion: (value as Buffer).toString() };
    else if (field === 5) {
      for (const summary of fields(value as Buffer)) {
        assert.equal(summary.field, 1);
        const entry = new Map([...fields(summary.value as Buffer)].map((part) => [part.field, part.value as Buffer]));
        scalars[entry.get(1)!.toString()] = entry.get(2)!.readFloatLE();
      }
    } else assert.fail(`field ${field}`);
  }
  return { ...event, scalars };
}
