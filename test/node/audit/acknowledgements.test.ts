import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checkAcknowledgements } from '../../../node/audit/acknowledgements.ts';
import { auditPaths, makeAuditFolder, receiptName } from '../../../node/audit/auditFolder.ts';
import { verifyAudit } from '../../../node/audit/verifyAudit.ts';
import { packAcknowledged } from '../../../protocol/acknowledgement.ts';
import { aggregateRound, inOrderOfHash } from '../../../protocol/aggregation/aggregate.ts';
import { signCheckpoint } from '../../../protocol/checkpoint.ts';
import type { SealedEnvelope } from '../../../protocol/envelope.ts';
import type { Identity } from '../../../protocol/identity.ts';
import { merkleRoot } from '../../../protocol/merkle.ts';
import type { Payload } from '../../../protocol/messages.ts';
import { roundNumber, sha256 } from '../../../protocol/names.ts';
import { sealMessage } from '../../../protocol/opening.ts';
import { inputsRoot, openReceipt, signReceipt } from '../../../protocol/receipt.ts';
import { encodeBlob } from '../../../protocol/tensorBlob.ts';
import {
  aggregator,
  exampleFederation,
  exampleFigures,
  exampleUpdate,
  hashOf,
  header,
  initialAdapter,
  initialBlob,
  NOW,
  participants,
  stranger,
  updateMessage,
} from '../../protocol/exampleFederation.ts';

const federation = exampleFederation();
const [ann, ben, cid, dan] = participants as [Identity, Identity, Identity, Identity];

/** What everybody sent in round 1. */
const updates = new Map([ann, ben, cid].map((each, i) => [each, exampleUpdate((i + 1) / 8)]));
const messages = new Map([ann, ben, cid].map((each) => [each, updateMessage(each, updates.get(each)!)]));

function acknowledge(
  request: SealedEnvelope,
  recipient: Identity,
  changes: Partial<Payload<'acknowledgement'>> = {},
  signer = aggregator,
): Uint8Array {
  const { bytes } = sealMessage(signer, 'acknowledgement', {
    ...header(),
    recipient: recipient.id,
    request: request.hash,
    verdict: 'accepted',
    code: null,
    ...changes,
  });
  return packAcknowledged(request.bytes, bytes);
}

describe('acknowledged updates', () => {
  let folder: string;
  before(() => (folder = mkdtempSync(join(tmpdir(), 'prefmesh-acknowledged-'))));
  after(() => rmSync(folder, { recursive: true, force: true }));

  /** An audit folder of one round with the updates of these alone: right in every other way. */
  async function roundOf(listed: readonly Identity[]): Promise<string> {
    const audit = mkdtempSync(join(folder, 'audit-'));
    const paths = await makeAuditFolder(audit);
    const kept = listed.map((each) => updates.get(each)!);
    const result = aggregateRound({
      rule: 'alternating',
      parameters: {},
      factor: 'B',
      parent: initialAdapter,
      ...inOrderOfHash(kept),
    });
    const entries = listed
      .map((each) => ({
        sender: each.id,
        envelope: messages.get(each)!.hash,
        blob: sha256(encodeBlob(updates.get(each)!)),
      }))
      .sort((a, b) => (a.sender < b.sender ? -1 : 1))
      .map((entry) => ({ ...entry, verdict: 'accepted' as const, code: null }));
    const receipt = signReceipt(aggregator, {
      federation: federation.hash,
      round: roundNumber(1),
      outcome: 'published',
      reason: null,
      aggregation: { rule: 'alternating', parameters: {} },
      factor: 'B',
      cohort: participants.map(({ id }) => id),
      updates: entries,
      revocations: null,
      inputsRoot: inputsRoot(entries),
      parent: sha256(initialBlob),
      candidate: result.hash,
      output: result.hash,
      optimizerState: null,
      figures: exampleFigures(),
      startedAt: NOW,
      closedAt: NOW + 60_000,
      previous: null,
    });
    writeFileSync(paths.federation, federation.bytes);
    writeFileSync(join(paths.receipts, receiptName(1)), receipt.bytes);
    for (const bytes of [initialBlob, result.blob, ...kept.map((each) => encodeBlob(each))]) {
      writeFileSync(join(paths.blobs, sha256(bytes)), bytes);
    }
    for (const each of listed) {
      const { hash, bytes } = messages.get(each)!;
      writeFileSync(join(paths.updates, hash), bytes);
    }
    const checkpoint = { federation: federation.hash, size: 1, root: merkleRoot([receipt.bytes]) };
    writeFileSync(auditPaths(audit).checkpoint, signCheckpoint(aggregator, checkpoint));
    return audit;
  }

  /** Checks one proof against a round with the updates of `listed`. */
  async function outcomeOf(proof: Uint8Array, listed: readonly Identity[]) {
    const file = join(folder, 'proof');
    writeFileSync(file, proof);
    const { ok, first_failure, acknowledgements } = await verifyAudit(await roundOf(listed), {
      acknowledgements: file,
    });
    const [{ outcome, code, round, participant, aggregator: signer }] = acknowledgements as [
      NonNullable<typeof acknowledgements>[number],
    ];
    return { ok, failure: first_failure?.code, outcome, code, round, participant, signer };
  }

  it('that the receipt leaves out are shown by the acknowledgement and the log alone, in a round that is right otherwise', async () => {
    const without = await verifyAudit(await roundOf([ben, cid]));
    assert.equal(without.ok, true, 'nobody else can tell');
    assert.deepEqual(await outcomeOf(acknowledge(messages.get(ann)!, ann), [ben, cid]), {
      ok: false,
      failure: 'NOT_INCLUDED',
      outcome: 'missing',
      code: 'NOT_INCLUDED',
      round: 1,
      participant: ann.id,
      signer: aggregator.id,
    });
  });

  it('that the receipt lists accuse nobody, also where another message offered the same update', async () => {
    for (const message of [messages.get(ann)!, updateMessage(ann, updates.get(ann)!, { sequence: 9 })]) {
      const { ok, outcome, code } = await outcomeOf(acknowledge(message, ann), [ann, ben, cid]);
      assert.deepEqual([ok, outcome, code], [true, 'included', null]);
    }
  });

  it('that the receipt lists with other bytes are shown', async () => {
    const other = updateMessage(ann, exampleUpdate(0.5));
    const { ok, outcome } = await outcomeOf(acknowledge(other, ann), [ann, ben, cid]);
    assert.deepEqual([ok, outcome], [false, 'missing']);
  });

  it('that were refused for a reason accuse nobody', async () => {
    const proof = acknowledge(messages.get(ann)!, ann, { verdict: 'refused', code: 'NORM_EXCEEDED' });
    const { ok, outcome, code } = await outcomeOf(proof, [ben, cid]);
    assert.deepEqual([ok, outcome, code], [true, 'refused', 'NORM_EXCEEDED']);
  });

  it('of a round without a receipt yet decide nothing', async () => {
    const later = { round: roundNumber(2) };
    const proof = acknowledge(updateMessage(ann, updates.get(ann)!, later), ann, later);
    const { ok, outcome, round } = await outcomeOf(proof, [ben, cid]);
    assert.deepEqual([ok, outcome, round], [true, 'undecided', 2]);
  });

  it('of an aggregator that did not end the round accuse nobody: who took over promised nothing', async () => {
    const [first, second] = [aggregator, stranger].map(({ id }) => ({ id, addresses: ['/ip4/127.0.0.1/tcp/4001'] }));
    const two = exampleFederation({ aggregators: [first!, second!] });
    const named = { federation: two.hash };
    const file = join(folder, 'promise');
    writeFileSync(file, acknowledge(updateMessage(ann, updates.get(ann)!, named), ann, named));
    const round = openReceipt(readFileSync(join(await roundOf([ben, cid]), 'receipts', receiptName(1))));
    const outcomes = [];
    for (const sender of [stranger.id, aggregator.id]) {
      const checked = await checkAcknowledgements(file, two, () => ({ ...round, sender }));
      outcomes.push(checked.map(({ told }) => told.outcome));
    }
    assert.deepEqual(outcomes, [['undecided'], ['missing']]);
  });

  const worthless: Record<string, [() => Uint8Array, string]> = {
    'altered anywhere': [
      () => {
        const proof = acknowledge(messages.get(ann)!, ann);
        proof[proof.length - 1]! ^= 1;
        return proof;
      },
      'BAD_SIGNATURE',
    ],
    'of an update that somebody else is answered for': [() => acknowledge(messages.get(ann)!, dan), 'WRONG_RECIPIENT'],
    'of another update': [
      () => acknowledge(messages.get(ann)!, ann, { request: messages.get(ben)!.hash }),
      'WRONG_REQUEST',
    ],
    'of an update for another round': [
      // The promise was for round 1; the update shown beside it is a later one.
      () =>
        acknowledge(updateMessage(ann, updates.get(ann)!, { round: roundNumber(2) }), ann, {
          request: messages.get(ann)!.hash,
        }),
      'WRONG_REQUEST',
    ],
    'of another federation': [
      () => acknowledge(messages.get(ann)!, ann, { federation: hashOf('another federation') }),
      'WRONG_FEDERATION',
    ],
    'by nobody who may promise anything': [
      () => acknowledge(messages.get(ann)!, ann, {}, stranger),
      'WRONG_AGGREGATOR',
    ],
    'of something that is no update': [
      () => {
        const leave = sealMessage(ann, 'leave', { ...header(), recipient: aggregator.id });
        return acknowledge(leave, ann);
      },
      'UNEXPECTED_TYPE',
    ],
    'of a message that its sender has not signed': [
      () => {
        const forged = updateMessage(ann, updates.get(ann)!);
        const bytes = forged.bytes.slice();
        bytes[bytes.length - 1]! ^= 1;
        return acknowledge({ ...forged, bytes }, ann);
      },
      'BAD_SIGNATURE',
    ],
    'that is something else': [() => Uint8Array.of(1, 2, 3), 'MALFORMED'],
    'that is far too large': [() => new Uint8Array(10_000_000), 'OVERSIZED'],
  };
  for (const [what, [proof, expected]] of Object.entries(worthless)) {
    it(`${what} prove nothing`, async () => {
      const { ok, failure, outcome, code } = await outcomeOf(proof(), [ben, cid]);
      assert.deepEqual([ok, failure, outcome, code], [false, expected, 'worthless', expected]);
    });
  }
});
