/**
 * Checkpoints of a federation's log: how long it is and what its Merkle root is, signed by an aggregator, and cosigned
 * by witnesses who have seen that it only ever grew.
 *
 * The text is a C2SP signed note (c2sp.org/signed-note) whose body is a tlog-checkpoint (c2sp.org/tlog-checkpoint):
 *
 *   prefmesh/<federation>          origin
 *   12                             number of receipts
 *   CsUYapGGPo4d…                  RFC 6962 root, base64
 *                                  (an empty line)
 *   — <peer id> <base64 of 4 bytes of key id and the signature>
 *
 * Aggregators sign the body (note algorithm 1, Ed25519); witnesses sign it with the time at which they saw it
 * (algorithm 4, c2sp.org/tlog-cosignature). Keys go by the signer's peer id, so a line can be checked from its name.
 */
import { createHash } from 'node:crypto';
import { PrefmeshError } from './errors.ts';
import { parseParticipantId, publicKeyOf, sign, SIGNATURE_BYTES, verify } from './identity.ts';
import type { Identity, ParticipantId } from './identity.ts';
import { LIMITS } from './limits.ts';
import type { Sha256 } from './names.ts';

export interface Checkpoint {
  readonly federation: Sha256;
  /** Receipts in the log. */
  readonly size: number;
  /** Merkle root over their envelopes' bytes, 32 bytes. */
  readonly root: Uint8Array;
}

export interface CheckpointSignature {
  readonly signer: ParticipantId;
  /** When a witness saw the checkpoint, in seconds since 1970; null for a log's own signature. */
  readonly seenAt: number | null;
  /** The line of the note, without its end. */
  readonly line: string;
}

export interface OpenedCheckpoint extends Checkpoint {
  readonly text: string;
  /** The signatures that are good, in their order. Lines by unknown kinds of keys are left out. */
  readonly signatures: readonly CheckpointSignature[];
}

const ORIGIN = 'prefmesh/';
const ED25519 = 0x01;
const COSIGNATURE = 0x04;
const KEY_ID_BYTES = 4;
const TIME_BYTES = 8;
const SIGNATURE_LINE = /^— (\S+) ([A-Za-z0-9+/]+={0,2})$/u;
const BODY = /^prefmesh\/([0-9a-f]{64})\n(0|[1-9][0-9]{0,15})\n([A-Za-z0-9+/]{43}=)\n$/;

/** The note of a checkpoint, signed by an aggregator. */
export function signCheckpoint(aggregator: Identity, checkpoint: Checkpoint): string {
  const body = bodyOf(checkpoint);
  return `${body}\n${signatureLine(aggregator.id, ED25519, sign(aggregator, Buffer.from(body)))}`;
}

/**
 * A note with nothing but a witness's line: it has seen at `seenAt` (s) that the log is this, and that nothing before
 * it changed. `withCosignatures` puts the line on the log's own note.
 */
export function cosignCheckpoint(witness: Identity, checkpoint: Checkpoint, seenAt: number): string {
  const body = bodyOf(checkpoint);
  const time = Buffer.alloc(TIME_BYTES);
  time.writeBigUInt64BE(BigInt(seenAt));
  const signature = Buffer.concat([time, sign(witness, cosignedBytes(body, seenAt))]);
  return `${body}\n${signatureLine(witness.id, COSIGNATURE, signature)}`;
}

/** Checkpoints that were read and found right: an aggregator gives the same one to everybody who asks. */
const opened = new Map<string, OpenedCheckpoint>();
const MOST_OPENED = 64;

/**
 * Reads a checkpoint and checks every signature on it that is of a known kind.
 *
 * @throws OVERSIZED, MALFORMED; BAD_SIGNATURE when a line names a key that has not made it
 */
export function openCheckpoint(text: string): OpenedCheckpoint {
  let checkpoint = opened.get(text);
  if (checkpoint === undefined) {
    checkpoint = readCheckpoint(text);
    if (opened.size >= MOST_OPENED) opened.delete(opened.keys().next().value!);
    opened.set(text, checkpoint);
  }
  return checkpoint;
}

function readCheckpoint(text: string): OpenedCheckpoint {
  const limit = LIMITS.checkpoint.value;
  if (Buffer.byteLength(text) > limit) {
    throw new PrefmeshError('OVERSIZED', { what: 'checkpoint', bytes: Buffer.byteLength(text), limit });
  }
  const split = text.indexOf('\n\n');
  const body = text.slice(0, split + 1);
  const [, federation, size, root] = BODY.exec(body) ?? [];
  if (split === -1 || federation === undefined || !text.endsWith('\n')) throw malformed('is not a signed checkpoint');
  const count = Number(size);
  if (!Number.isSafeInteger(count)) throw malformed('has a size that is no number of receipts');
  const lines = text.slice(split + 2, -1).split('\n');
  const signatures = lines.map((line) => readSignature(line, body)).filter((signature) => signature !== undefined);
  return {
    federation: federation as Sha256,
    size: count,
    root: new Uint8Array(Buffer.from(root!, 'base64')),
    text,
    signatures,
  };
}

/** The witnesses among `known` that have cosigned, each once. */
export function cosigners({ signatures }: OpenedCheckpoint, known: readonly ParticipantId[]): ParticipantId[] {
  return known.filter((id) => signatures.some(({ signer, seenAt }) => signer === id && seenAt !== null));
}

/** The note with the lines of those witnesses among `known` that `other`, of the same checkpoint, has and it lacks. */
export function withCosignatures(
  note: OpenedCheckpoint,
  other: OpenedCheckpoint,
  known: readonly ParticipantId[],
): string {
  const there = cosigners(note, known);
  const added = other.signatures.filter(({ signer, seenAt }) => {
    return seenAt !== null && known.includes(signer) && !there.includes(signer);
  });
  return note.text + added.map(({ line }) => `${line}\n`).join('');
}

/** Whether both say the same of the same log. */
export function sameCheckpoint(a: Checkpoint, b: Checkpoint): boolean {
  return bodyOf(a) === bodyOf(b);
}

function bodyOf({ federation, size, root }: Checkpoint): string {
  return `${ORIGIN}${federation}\n${size}\n${Buffer.from(root).toString('base64')}\n`;
}

function cosignedBytes(body: string, seenAt: number): Uint8Array {
  return Buffer.from(`cosignature/v1\ntime ${seenAt}\n${body}`);
}

function signatureLine(signer: ParticipantId, algorithm: number, signature: Uint8Array): string {
  const bytes = Buffer.concat([keyId(signer, algorithm), signature]);
  return `— ${signer} ${bytes.toString('base64')}\n`;
}

/** SHA-256 of name, line break, algorithm and key: its first four bytes. */
function keyId(signer: ParticipantId, algorithm: number): Buffer {
  const digest = createHash('sha256')
    .update(`${signer}\n`)
    .update(Uint8Array.of(algorithm))
    .update(publicKeyOf(signer));
  return digest.digest().subarray(0, KEY_ID_BYTES);
}

/** The signature of a line, or undefined where its key is of a kind that is not known here. Throws BAD_SIGNATURE. */
function readSignature(line: string, body: string): CheckpointSignature | undefined {
  const [, name, encoded] = SIGNATURE_LINE.exec(line) ?? [];
  if (name === undefined) throw malformed('has a signature line of another form');
  const bytes = Buffer.from(encoded!, 'base64');
  // One signature has one text: the last character has bits that a lenient reader drops.
  if (bytes.toString('base64') !== encoded) throw malformed('has a signature in another form of base64');
  const signer = peerIdOrNothing(name);
  if (signer === undefined) return undefined;
  const [id, rest] = [bytes.subarray(0, KEY_ID_BYTES), bytes.subarray(KEY_ID_BYTES)];
  const check = (signed: Uint8Array, signature: Uint8Array): void => {
    if (signature.length !== SIGNATURE_BYTES || !verify(signer, signed, signature)) {
      throw new PrefmeshError('BAD_SIGNATURE', { what: 'checkpoint', sender: signer });
    }
  };
  if (id.equals(keyId(signer, ED25519))) {
    check(Buffer.from(body), rest);
    return { signer, seenAt: null, line };
  }
  if (!id.equals(keyId(signer, COSIGNATURE)) || rest.length < TIME_BYTES) return undefined;
  const seenAt = Number(rest.readBigUInt64BE(0));
  check(cosignedBytes(body, seenAt), rest.subarray(TIME_BYTES));
  return { signer, seenAt, line };
}

function peerIdOrNothing(name: string): ParticipantId | undefined {
  try {
    return parseParticipantId(name);
  } catch {
    return undefined; // a key of somebody else's kind, which a note may carry
  }
}

function malformed(problem: string): PrefmeshError {
  return new PrefmeshError('MALFORMED', { what: 'checkpoint', problem });
}
