/**
 * Bytes to trusted values and back: MessagePack, a small part of it, strictly.
 *
 * A peer's bytes are hostile until proven otherwise. They pass three gates: their length, a scan over the raw
 * encoding that builds nothing (depth, number of items, types, text), and a closed schema. Only between the last
 * two does the MessagePack library see them, so its extension types, records and big integers are never reached.
 *
 * The part of MessagePack that travels: nil, booleans, numbers, UTF-8 text, binary, arrays, and maps from distinct
 * texts. An integer is any numeric form that holds the exact integer within ±(2^53 - 1).
 */
import { Packr } from 'msgpackr';
import type { z } from 'zod';
import { PrefmeshError } from './errors.ts';
import { LIMITS } from './limits.ts';

export type WireValue =
  null | boolean | number | string | Uint8Array | readonly WireValue[] | { readonly [key: string]: WireValue };

const settings = { useRecords: false, variableMapSize: true, int64AsType: 'number' } as const;
const packr = new Packr({ ...settings, copyBuffers: true });
const viewing = new Packr({ ...settings, copyBuffers: false });
const text = new TextDecoder('utf-8', { fatal: true });

/** Encodes a value in the part of MessagePack that `decode` accepts. Throws MALFORMED for any other value. */
export function encode(value: WireValue): Uint8Array {
  const bytes = new Uint8Array(packr.pack(value));
  scan(bytes, 'own message');
  return bytes;
}

export interface DecodeOptions {
  /** What the bytes should be, for the error's text: "envelope", "update payload". */
  readonly what: string;
  /** Refuse more bytes than this before looking at one of them. */
  readonly maxBytes: number;
  /**
   * Give binary values as views of `bytes` instead of copies: for a message that is mostly one of them, whose bytes nobody
   * changes. A small value would keep all of `bytes` in memory. Default false.
   */
  readonly views?: boolean;
}

/** Decodes and checks one value that fills `bytes` exactly. Throws OVERSIZED, MALFORMED. */
export function decode<Schema extends z.ZodType>(
  bytes: Uint8Array,
  schema: Schema,
  { what, maxBytes, views = false }: DecodeOptions,
): z.output<Schema> {
  checkLength(bytes, what, maxBytes);
  scan(bytes, what);
  return parse(unpack(bytes, what, views), schema, what);
}

/** Encodes a value that `decode` will accept with the same schema. Throws OVERSIZED, MALFORMED for any other. */
export function encodeAs(value: WireValue, schema: z.ZodType, { what, maxBytes }: DecodeOptions): Uint8Array {
  const bytes = encode(value);
  checkLength(bytes, what, maxBytes);
  parse(value, schema, what);
  return bytes;
}

function checkLength({ length }: Uint8Array, what: string, limit: number): void {
  if (length > limit) throw new PrefmeshError('OVERSIZED', { what, bytes: length, limit });
}

function parse<Schema extends z.ZodType>(value: unknown, schema: Schema, what: string): z.output<Schema> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  throw new PrefmeshError('MALFORMED', { what, problem: `${issue.path.join('.') || 'value'}: ${issue.message}` });
}

function unpack(bytes: Uint8Array, what: string, views: boolean): unknown {
  try {
    // A view of its own, because the library leaves a property on the one that it reads.
    return (views ? viewing : packr).unpack(bytes.subarray());
  } catch (cause) {
    throw new PrefmeshError('MALFORMED', { what, problem: 'not MessagePack' }, { cause });
  }
}

/** Walks the encoding once, without building anything. Throws MALFORMED on all that does not travel here. */
function scan(bytes: Uint8Array, what: string): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  let items = 0;

  function refuse(problem: string): never {
    throw new PrefmeshError('MALFORMED', { what, problem });
  }
  /** Moves past `count` bytes and returns where they began. */
  function take(count: number): number {
    const start = at;
    if (count > bytes.length - at) refuse('ends too early');
    at += count;
    return start;
  }
  function size(width: 1 | 2 | 4): number {
    const start = take(width);
    return width === 1 ? view.getUint8(start) : width === 2 ? view.getUint16(start) : view.getUint32(start);
  }
  /** Moves past a text and returns where it began. Most texts are names and hashes, all of it ASCII. */
  function string(length: number): number {
    const start = take(length);
    for (let i = start; i < at; i++) if (bytes[i]! > 0x7f) return demandUtf8(start);
    return start;
  }
  function demandUtf8(start: number): number {
    try {
      text.decode(bytes.subarray(start, at));
      return start;
    } catch {
      return refuse('text that is not UTF-8');
    }
  }
  function key(): string {
    const tag = view.getUint8(take(1));
    const start = string(keyLength(tag));
    return text.decode(bytes.subarray(start, at));
  }
  function keyLength(tag: number): number {
    if (tag >= 0xa0 && tag <= 0xbf) return tag & 0x1f;
    if (tag >= 0xd9 && tag <= 0xdb) return size((1 << (tag - 0xd9)) as 1 | 2 | 4);
    return refuse('a map key that is not text');
  }
  function array(length: number, depth: number): void {
    for (let i = 0; i < length; i++) value(depth + 1);
  }
  function map(length: number, depth: number): void {
    const keys = new Set<string>();
    for (let i = 0; i < length; i++) {
      const name = key();
      if (keys.has(name) || name === '__proto__') refuse('a map key given twice or reserved');
      keys.add(name);
      value(depth + 1);
    }
  }
  function wideInteger(signed: boolean): void {
    const start = take(8);
    const integer = signed ? view.getBigInt64(start) : view.getBigUint64(start);
    if (integer > BigInt(Number.MAX_SAFE_INTEGER) || integer < -BigInt(Number.MAX_SAFE_INTEGER)) {
      refuse('an integer beyond 2^53 - 1');
    }
  }
  function value(depth: number): void {
    if (depth > LIMITS.wireDepth.value) refuse(`nested deeper than ${LIMITS.wireDepth.value}`);
    if ((items += 1) > LIMITS.wireItems.value) refuse(`more than ${LIMITS.wireItems.value} items`);
    const tag = view.getUint8(take(1));
    if (tag <= 0x7f || tag >= 0xe0) return;
    if (tag <= 0x8f) return map(tag & 0x0f, depth);
    if (tag <= 0x9f) return array(tag & 0x0f, depth);
    if (tag <= 0xbf) return void string(tag & 0x1f);
    switch (tag) {
      case 0xc0: // nil
      case 0xc2: // false
      case 0xc3: // true
        return;
      case 0xc4: // binary
      case 0xc5:
      case 0xc6:
        return void take(size((1 << (tag - 0xc4)) as 1 | 2 | 4));
      case 0xcb: // float 64
        if (!Number.isFinite(view.getFloat64(take(8)))) refuse('a number that is not finite');
        return;
      case 0xcc: // unsigned 8, 16, 32
      case 0xcd:
      case 0xce:
        return void take(1 << (tag - 0xcc));
      case 0xd0: // signed 8, 16, 32
      case 0xd1:
      case 0xd2:
        return void take(1 << (tag - 0xd0));
      case 0xcf:
      case 0xd3:
        return wideInteger(tag === 0xd3);
      case 0xd9: // text
      case 0xda:
      case 0xdb:
        return void string(size((1 << (tag - 0xd9)) as 1 | 2 | 4));
      case 0xdc:
      case 0xdd:
        return array(size(tag === 0xdc ? 2 : 4), depth);
      case 0xde:
      case 0xdf:
        return map(size(tag === 0xde ? 2 : 4), depth);
      default:
        return refuse(`MessagePack type 0x${tag.toString(16)}, which does not travel here`);
    }
  }

  value(0);
  if (at !== bytes.length) refuse('bytes after the end');
}
