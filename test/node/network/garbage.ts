import assert from 'node:assert/strict';
import { BLOB_PROTOCOL } from '../../../node/network/blob/messages.ts';
import { Frames } from '../../../node/network/frames.ts';
import type { Host } from '../../../node/network/host.ts';
import { refusalSchema } from '../../../node/network/refusal.ts';
import { encode } from '../../../protocol/codec.ts';
import { sha256 } from '../../../protocol/names.ts';

const WAIT = 10_000;

/** A frame of bytes whose length takes one or two bytes. */
export function frame(bytes: Uint8Array): Uint8Array {
  const { length } = bytes;
  return Buffer.concat([Buffer.from(length < 0x80 ? [length] : [(length & 0x7f) | 0x80, length >> 7]), bytes]);
}

/** Sends raw bytes on a protocol and returns the code they are refused with. */
export async function refusalTo(
  pair: { first: Host; second: Host },
  protocol: string,
  bytes: Uint8Array,
): Promise<string> {
  const { stream } = await pair.second.openStream(pair.first.id, protocol);
  const frames = new Frames(stream, pair.first.id, { maxFrame: 4096 });
  stream.send(bytes);
  const { code } = await frames.read(refusalSchema, { what: 'refusal', wait: WAIT });
  await frames.close({ wait: WAIT });
  return code;
}

/** The host still answers on its blob protocol. */
export async function assertServes(client: Host, server: string): Promise<void> {
  const { stream } = await client.openStream(server, BLOB_PROTOCOL);
  const frames = new Frames(stream, server, { maxFrame: 4096 });
  await frames.write({ t: 'head', id: sha256(encode('nothing')) }, { what: 'request', wait: WAIT });
  const { code } = await frames.read(refusalSchema, { what: 'refusal', wait: WAIT });
  assert.equal(code, 'BLOB_MISSING');
  frames.abort('enough');
}
