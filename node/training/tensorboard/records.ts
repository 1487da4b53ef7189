/**
 * TFRecord framing: each record is its length (8 bytes, little-endian), the masked CRC-32C of these 8 bytes, the data,
 * and the masked CRC-32C of the data. Source: https://www.tensorflow.org/tutorials/load_data/tfrecord.
 */
import { maskedCrc32c } from './crc32c.ts';

const LENGTH_BYTES = 8;
const HEAD_BYTES = LENGTH_BYTES + 4;
const TAIL_BYTES = 4;

/** Data as one record: its length, the checksum of the length, the data, the checksum of the data. */
export function frameRecord(data: Uint8Array): Uint8Array {
  const record = Buffer.alloc(HEAD_BYTES + data.length + TAIL_BYTES);
  record.writeBigUInt64LE(BigInt(data.length));
  record.writeUInt32LE(maskedCrc32c(record.subarray(0, LENGTH_BYTES)), LENGTH_BYTES);
  record.set(data, HEAD_BYTES);
  record.writeUInt32LE(maskedCrc32c(data), HEAD_BYTES + data.length);
  return record;
}

/** The whole records at the beginning of a file, each with the offset that it ends at; stops at a damaged one. */
export function* readRecords(file: Buffer): Generator<{ data: Uint8Array; end: number }> {
  for (let start = 0; start + HEAD_BYTES + TAIL_BYTES <= file.length;) {
    const length = file.readBigUInt64LE(start);
    const end = start + HEAD_BYTES + Number(length) + TAIL_BYTES;
    if (end > file.length) return;
    const data = file.subarray(start + HEAD_BYTES, end - TAIL_BYTES);
    if (file.readUInt32LE(start + LENGTH_BYTES) !== maskedCrc32c(file.subarray(start, start + LENGTH_BYTES))) return;
    if (file.readUInt32LE(end - TAIL_BYTES) !== maskedCrc32c(data)) return;
    yield { data, end };
    start = end;
  }
}
