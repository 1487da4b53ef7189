/**
 * Feeds everything that reads a stranger's bytes with random ones: noise, good input with a few bytes changed, rubbish
 * inside a sound envelope. Each must be refused with a code; none may be taken, end in another error, or take long.
 *
 *   npm run fuzz [-- --inputs 1000000] [--seed 1]
 */
import { parseArgs } from 'node:util';
import { integerValue } from '../node/commands/values.ts';
import { encode } from '../protocol/codec.ts';
import { sealEnvelope } from '../protocol/envelope.ts';
import { isPrefmeshError } from '../protocol/errors.ts';
import { openInvite, signInvite, parseInviteText } from '../protocol/invite.ts';
import { openManifest } from '../protocol/manifest.ts';
import { MESSAGES, type MessageType } from '../protocol/messages.ts';
import { openEnvelope } from '../protocol/opening.ts';
import { openReceipt } from '../protocol/receipt.ts';
import { ReplayWindow } from '../protocol/replay.ts';
import { decodeBlob, encodeBlob } from '../protocol/tensorBlob.ts';
import * as example from '../test/protocol/exampleFederation.ts';
import { goldenVectors } from '../test/protocol/golden/vectors.ts';
import { mutate, randomBytes, seededIntegers } from '../test/protocol/randomInputs.ts';

const { values } = parseArgs({
  options: { inputs: { type: 'string', default: '1000000' }, seed: { type: 'string', default: '1' } },
});
const inputs = integerValue({ min: 1 })(values.inputs);
const seed = integerValue({ min: 0 })(values.seed);
const integer = seededIntegers(seed);

const federation = example.exampleFederation();
const [ann] = example.participants;
const update = example.exampleUpdate(0.25);
const replay = new ReplayWindow();
const expected = {
  types: Object.keys(MESSAGES) as MessageType[],
  federation: federation.hash,
  recipient: example.aggregator.id,
  isMember: () => true,
};
const invite = signInvite(example.owner, {
  federation: federation.hash,
  serial: '0'.repeat(32),
  issuedAt: example.NOW,
  expiresAt: example.NOW + 60_000,
});

interface Reader {
  readonly name: string;
  readonly good: Uint8Array;
  readonly read: (bytes: Uint8Array) => unknown;
  /** Whether what was read may be anything that has the form: content without a signature over it. */
  readonly unsigned?: boolean;
}

const READERS: readonly Reader[] = [
  {
    name: 'message',
    good: example.updateMessage(ann!, update).bytes,
    read: (bytes) => openEnvelope(bytes, expected, example.NOW, replay),
  },
  { name: 'manifest', good: federation.bytes, read: (bytes) => openManifest(bytes) },
  { name: 'invite', good: parseInviteText(invite), read: (bytes) => openInvite(bytes, federation) },
  { name: 'receipt', good: goldenVectors().envelopes['receipt']!, read: (bytes) => openReceipt(bytes) },
  { name: 'update blob', good: encodeBlob(update), read: (bytes) => decodeBlob(bytes), unsigned: true },
];

const started = performance.now();
let refused = 0;
let longest = 0;
for (let input = 0; input < inputs; input++) {
  const reader = READERS[input % READERS.length]!;
  const bytes = inputFor(reader, Math.floor(input / READERS.length) % 3);
  if (Buffer.from(bytes).equals(reader.good)) continue;
  const began = performance.now();
  try {
    reader.read(bytes);
    if (!reader.unsigned) fail(reader, input, bytes, 'it was taken');
  } catch (error) {
    if (!isPrefmeshError(error)) fail(reader, input, bytes, String(error));
    refused += 1;
  }
  longest = Math.max(longest, performance.now() - began);
}
const seconds = (performance.now() - started) / 1000;
process.stdout.write(
  `${inputs} inputs from seed ${seed}: ${refused} refused with a code, ${inputs - refused} sound, no other error; ` +
    `${seconds.toFixed(1)} s, the longest ${longest.toFixed(1)} ms, ` +
    `${Math.round(process.memoryUsage.rss() / 2 ** 20)} MiB at the end\n`,
);

function inputFor({ good, name }: Reader, kind: number): Uint8Array {
  if (kind === 0) return randomBytes(integer, 200);
  if (kind === 1 || name === 'update blob') return mutate(integer, good);
  const type = name === 'message' ? expected.types[integer(expected.types.length)]! : name;
  const payload =
    integer(2) === 0 ? randomBytes(integer, 64) : encode({ federation: federation.hash, round: integer(9) });
  return sealEnvelope(ann!, type, payload).bytes;
}

function fail({ name }: Reader, input: number, bytes: Uint8Array, problem: string): never {
  process.stderr.write(`${name}, input ${input} of seed ${seed}: ${problem}\n${Buffer.from(bytes).toString('hex')}\n`);
  process.exit(1);
}
