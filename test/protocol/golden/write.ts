/** Writes the golden files. Run it only when the wire format is meant to change. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { format, resolveConfig } from 'prettier';
import { z } from 'zod';
import { decode } from '../../../protocol/codec.ts';
import { decodeEnvelope, envelopeHash } from '../../../protocol/envelope.ts';
import { LIMITS } from '../../../protocol/limits.ts';
import { sha256 } from '../../../protocol/names.ts';
import { goldenProofs, goldenRounds } from './rounds.ts';
import { goldenVectors } from './vectors.ts';

const maxBytes = LIMITS.document.value;
const { envelopes, blobs } = goldenVectors();
const expected: Record<string, unknown> = {};
for (const [name, bytes] of Object.entries(envelopes)) {
  const { type, sender, payload, signature } = decodeEnvelope(bytes, maxBytes);
  expected[name] = {
    type,
    sender,
    signature: Buffer.from(signature).toString('hex'),
    hash: envelopeHash({ type, sender, payload, signature }),
    payload: decode(payload, z.unknown(), { what: name, maxBytes }),
  };
}
for (const [name, bytes] of Object.entries(blobs)) expected[name] = { sha256: sha256(bytes) };

for (const [name, bytes] of Object.entries({ ...envelopes, ...blobs })) {
  const lines = Buffer.from(bytes).toString('hex').match(/.{1,64}/g) ?? [];
  writeFileSync(join(import.meta.dirname, `${name}.hex`), `${lines.join('\n')}\n`);
}
const asHex = (_: string, value: unknown) =>
  value instanceof Uint8Array ? { hex: Buffer.from(value).toString('hex') } : value;
await write('expected.json', expected);
await write('proofs.json', goldenProofs());

const { federations, blobs: blobsOfRounds } = goldenRounds();
const base64 = (files: ReadonlyMap<string, Uint8Array>) =>
  Object.fromEntries([...files].map(([name, bytes]) => [name, Buffer.from(bytes).toString('base64')]));
await write('rounds.json', {
  federations: Object.fromEntries([...federations].map(([name, files]) => [name, base64(files)])),
  blobs: base64(blobsOfRounds),
});

async function write(name: string, value: unknown): Promise<void> {
  const file = join(import.meta.dirname, name);
  const style = await resolveConfig(file);
  writeFileSync(file, await format(JSON.stringify(value, asHex), { ...style, filepath: file }));
}
