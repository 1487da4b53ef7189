/**
 * Looks through the write-ahead log that a killed process left beside its database.
 *
 * SQLite reads such a log up to the first frame whose checksum is wrong and forgets the rest without a word. That is
 * right for the last transaction, which a crash may have cut short; but a transaction begins only after the one before
 * it was synced, so a wrong frame in any earlier one is damage, and everything after it was acknowledged.
 * Format: https://sqlite.org/fileformat2.html#walformat.
 */
import { readFileSync } from 'node:fs';

const HEADER = 32;
const FRAME_HEADER = 24;
/** The last bit says in which byte order the checksums count. */
const MAGIC = 0x377f0682;

type Sums = readonly [number, number];

/** What is wrong with the log in a file, or undefined; also where there is no such file. */
export function findLogDamage(file: string): string | undefined {
  let bytes: Buffer;
  try {
    bytes = readFileSync(file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  if (bytes.length <= HEADER || bytes.subarray(0, HEADER).every((byte) => byte === 0)) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const magic = view.getUint32(0);
  const littleEndian = (magic & 1) === 0;
  let sums = checksum(view, 0, 24, [0, 0], littleEndian);
  if ((magic & ~1) !== MAGIC || !sumsAt(view, 24, sums)) return 'the header of its write-ahead log is wrong';

  const frame = FRAME_HEADER + view.getUint32(8);
  const ofThisLog = (at: number) =>
    view.getUint32(at + 8) === view.getUint32(16) && view.getUint32(at + 12) === view.getUint32(20);
  let wrong: number | undefined;
  let committedAfter = false;
  for (let at = HEADER, number = 1; at + frame <= bytes.length; at += frame, number++) {
    const own = ofThisLog(at);
    if (wrong === undefined) {
      sums = checksum(view, at, 8, sums, littleEndian);
      sums = checksum(view, at + FRAME_HEADER, frame - FRAME_HEADER, sums, littleEndian);
      const right = sumsAt(view, at + 16, sums);
      // The checksums do not cover the salts that tell the frames of this log from older ones.
      if (right && !own) return `frame ${number} of its write-ahead log is wrong`;
      if (!right) wrong = number;
    }
    if (wrong === undefined || !own) continue;
    if (committedAfter) return `frame ${wrong} of its write-ahead log is wrong`;
    committedAfter = view.getUint32(at + 4) !== 0;
  }
  return undefined;
}

function sumsAt(view: DataView, at: number, [first, second]: Sums): boolean {
  return view.getUint32(at) === first && view.getUint32(at + 4) === second;
}

/** The running checksum of the log, over `length` bytes (a multiple of 8). */
function checksum(view: DataView, at: number, length: number, [first, second]: Sums, littleEndian: boolean): Sums {
  let [a, b] = [first, second];
  for (let i = at; i < at + length; i += 8) {
    a = (a + view.getUint32(i, littleEndian) + b) >>> 0;
    b = (b + view.getUint32(i + 4, littleEndian) + a) >>> 0;
  }
  return [a, b];
}
