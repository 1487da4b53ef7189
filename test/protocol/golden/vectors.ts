/**
 * One round of the example federation as bytes: what the files beside this one were made from. They were made once,
 * with `node test/protocol/golden/write.ts`; if a test finds them different, the wire format has changed, and peers
 * of the version before can no longer be understood.
 */
import { aggregateRound, inOrderOfHash } from '../../../protocol/aggregation/aggregate.ts';
import type { SealedEnvelope } from '../../../protocol/envelope.ts';
import { parseInviteText, signInvite } from '../../../protocol/invite.ts';
import { signManifest } from '../../../protocol/manifest.ts';
import type { Payload } from '../../../protocol/messages.ts';
import { sha256 } from '../../../protocol/names.ts';
import { sealMessage } from '../../../protocol/opening.ts';
import { inputsRoot, signReceipt } from '../../../protocol/receipt.ts';
import type { Receipt, ReceivedUpdate } from '../../../protocol/receipt.ts';
import { encodeBlob } from '../../../protocol/tensorBlob.ts';
import { quantize } from '../../../protocol/update.ts';
import {
  aggregator,
  BITS,
  entriesOf,
  exampleFederation,
  exampleFigures,
  exampleManifest,
  hashOf,
  header,
  initialAdapter,
  initialBlob,
  NOW,
  owner,
  participants,
  updateMessage,
  VECTOR_LENGTH,
} from '../exampleFederation.ts';

export interface GoldenVectors {
  /** Envelopes by file name. */
  readonly envelopes: Readonly<Record<string, Uint8Array>>;
  /** Blobs by file name. */
  readonly blobs: Readonly<Record<string, Uint8Array>>;
}

export function goldenVectors(): GoldenVectors {
  const [ann] = participants as [(typeof participants)[0]];
  const federation = exampleFederation();
  const updates = participants.slice(0, 3).map((sender, index) => {
    const values = Float32Array.from({ length: VECTOR_LENGTH }, (_, i) => ((i * 7 + index * 3) % 11) / 8 - 0.6);
    const update = quantize(values, entriesOf('B'), BITS);
    return { sender, update, blob: encodeBlob(update), message: updateMessage(sender, update) };
  });
  const result = aggregateRound({
    ...exampleManifest().aggregation,
    factor: 'B',
    parent: initialAdapter,
    ...inOrderOfHash(updates.map(({ update }) => update)),
  });
  const listed: ReceivedUpdate[] = updates.map(({ sender, blob, message }) => ({
    sender: sender.id,
    envelope: message.hash,
    blob: sha256(blob),
    verdict: 'accepted',
    code: null,
  }));
  const receipt: Receipt = {
    federation: federation.hash,
    round: header().round,
    outcome: 'published',
    reason: null,
    aggregation: { rule: 'alternating', parameters: {} },
    factor: 'B',
    cohort: participants.map(({ id }) => id),
    updates: listed,
    revocations: null,
    inputsRoot: inputsRoot(listed),
    parent: sha256(initialBlob),
    candidate: result.hash,
    output: result.hash,
    optimizerState: null,
    figures: exampleFigures(),
    startedAt: NOW,
    closedAt: NOW + 60_000,
    previous: null,
  };
  const receiptEnvelope = signReceipt(aggregator, receipt);
  const invite = signInvite(owner, {
    federation: federation.hash,
    serial: 'a1'.repeat(16),
    issuedAt: NOW,
    expiresAt: NOW + 86_400_000,
  });
  return {
    envelopes: {
      manifest: signManifest(owner, exampleManifest()).bytes,
      invite: parseInviteText(invite),
      ...messages(ann, updates[0]!.message, receiptEnvelope),
      'update-1': updates[0]!.message.bytes,
      'update-2': updates[1]!.message.bytes,
      'update-3': updates[2]!.message.bytes,
      receipt: receiptEnvelope.bytes,
    },
    blobs: {
      'adapter-0': initialBlob,
      'update-1-blob': updates[0]!.blob,
      'update-2-blob': updates[1]!.blob,
      'update-3-blob': updates[2]!.blob,
      'adapter-1': result.blob,
    },
  };
}

/** One of every other message, between the first participant and the aggregator. */
function messages(
  participant: (typeof participants)[0],
  update: SealedEnvelope,
  receipt: SealedEnvelope,
): Record<string, Uint8Array> {
  const toAggregator = { ...header(), recipient: aggregator.id };
  const reply = { ...header({ sequence: 2 }), recipient: participant.id, request: hashOf('request') };
  const terms: Payload<'round-terms'> = {
    ...reply,
    phase: 'collecting',
    factor: 'B',
    parent: sha256(initialBlob),
    asked: true,
    members: participants.length,
    openedAt: NOW,
    deadline: NOW + 60_000,
    receipt: null,
  };
  return {
    'manifest-query': sealMessage(participant, 'manifest-query', toAggregator).bytes,
    join: sealMessage(participant, 'join', { ...toAggregator, invite: Uint8Array.of(1, 2, 3), pairsBucket: 64 }).bytes,
    joined: sealMessage(aggregator, 'joined', reply).bytes,
    leave: sealMessage(participant, 'leave', toAggregator).bytes,
    'round-query': sealMessage(participant, 'round-query', toAggregator).bytes,
    'round-terms': sealMessage(aggregator, 'round-terms', terms).bytes,
    acknowledgement: sealMessage(aggregator, 'acknowledgement', {
      ...reply,
      request: update.hash,
      verdict: 'accepted',
      code: null,
    }).bytes,
    'receipt-query': sealMessage(participant, 'receipt-query', toAggregator).bytes,
    announcement: sealMessage(aggregator, 'announcement', { ...header(), phase: 'published', receipt: receipt.hash }).bytes,
  };
}
