import assert from 'node:assert/strict';
import { sealDocument } from '../../protocol/documents.ts';
import { isPrefmeshError } from '../../protocol/errors.ts';
import { participantIdOf } from '../../protocol/identity.ts';
import { LIMITS } from '../../protocol/limits.ts';
import { checkSuccession, manifestSchema, openManifest, signManifest } from '../../protocol/manifest.ts';
import type { Manifest } from '../../protocol/manifest.ts';
import { exampleFederation, exampleManifest, hashOf, owner, participants, stranger } from './exampleFederation.ts';
import { assertRefused } from './refusal.ts';

const [ann, ben] = participants.map(({ id }) => id) as [Manifest['owner'], Manifest['owner']];

describe('manifest', () => {
  it('is read back as it was signed, under the id that its hash gives', () => {
    const { bytes, hash } = signManifest(owner, exampleManifest());
    const opened = openManifest(bytes, hash);
    assert.deepEqual(opened.content, exampleManifest());
    assert.equal(opened.hash, hash);
    assert.equal(opened.sender, owner.id);
  });

  it('has another id for every other term', () => {
    const ids = new Set([
      exampleFederation().hash,
      exampleFederation({ rounds: 4 }).hash,
      exampleFederation({ name: 'Example' }).hash,
      exampleFederation({ quorum: 1 }).hash,
    ]);
    assert.equal(ids.size, 4);
  });

  it('is refused when it is not the one asked for', () => {
    const { bytes } = signManifest(owner, exampleManifest());
    assertRefused(() => openManifest(bytes, hashOf('another federation')), 'WRONG_FEDERATION');
  });

  it('is refused unless its owner signed it', () => {
    assertRefused(() => signManifest(stranger, exampleManifest()), 'WRONG_OWNER');
    const forged = sealDocument(stranger, 'manifest', manifestSchema, exampleManifest());
    assertRefused(() => openManifest(forged.bytes), 'WRONG_OWNER');
  });

  it('is refused when a byte of it was changed', () => {
    const { bytes } = signManifest(owner, exampleManifest());
    for (let at = 0; at < bytes.length; at += 7) {
      const changed = Uint8Array.from(bytes);
      changed[at]! ^= 1;
      assert.throws(
        () => openManifest(changed),
        (error) => isPrefmeshError(error),
        `byte ${at}`,
      );
    }
  });

  it('does not pass for another kind of document', () => {
    const other = sealDocument(owner, 'notice', manifestSchema, exampleManifest());
    assertRefused(() => openManifest(other.bytes), 'UNEXPECTED_TYPE');
  });

  const example = exampleManifest();
  const refused: Record<string, Partial<Manifest>> = {
    'a quorum above the number of places': { quorum: 5 },
    'no rounds': { rounds: 0 },
    'a previous manifest for version 1': { previous: hashOf('previous') },
    'a later version without the one before': { version: 2 },
    'the same aggregator twice': { aggregators: [...example.aggregators, ...example.aggregators] },
    'no aggregator': { aggregators: [] },
    'an unknown rule': { aggregation: { rule: 'magic' as 'mean', parameters: {} } },
    'more cosignatures than witnesses': { witnesses: { participants: [], required: 1 } },
    'a parameter that the rule has not': { aggregation: { rule: 'mean', parameters: { power: 2 } } },
    'a norm bound that the fixed-point range cannot hold': { update: { fixedPointBits: 28, normBound: 10 } },
    'a norm bound of zero': { update: { fixedPointBits: 16, normBound: 0 } },
    'targets out of order': { adapter: { ...example.adapter, targets: ['k_proj', 'q_proj'] } },
    'a target given twice': { adapter: { ...example.adapter, targets: ['q_proj', 'q_proj'] } },
    'an allow-list out of order': { admission: { mode: 'allow-list', participants: [ben, ann] } },
    'a reference that is not the base': { reference: 'previous' as 'base' },
    'a share of warm-up steps above one': { training: { ...example.training, warmup: 1.5 } },
    'an unknown loss': { training: { ...example.training, loss: 'dpo' as 'sigmoid' } },
    'label smoothing that its loss would ignore': { training: { ...example.training, labelSmoothing: 0.1 } },
    'a smoothed loss without a share of wrong labels': { training: { ...example.training, loss: 'cdpo' } },
    'half of the labels wrong': { training: { ...example.training, loss: 'robust', labelSmoothing: 0.5 } },
    'a name without letters': { name: '' },
    'an owner that is no Ed25519 key': { owner: 'nobody' as Manifest['owner'] },
    'a deadline beyond a month': { deadlines: { join: 1, round: LIMITS.deadline.value + 1 } },
    'nothing said about what is sent': { privacy: { ...example.privacy, sends: [] } },
    'a term that is not known': { colour: 'green' } as Partial<Manifest>,
  };
  for (const [name, changes] of Object.entries(refused)) {
    it(`may not have ${name}`, () => {
      assert.ok(!manifestSchema.safeParse(exampleManifest(changes)).success);
      assertRefused(() => sealDocument(owner, 'manifest', manifestSchema, exampleManifest(changes)), 'MALFORMED');
    });
  }

  it('may list as many participants, aggregators and addresses as the limits say, and still fits a document', () => {
    const names = (count: number) =>
      Array.from({ length: count }, (_, index) => {
        const key = new Uint8Array(32).fill(1);
        new DataView(key.buffer).setUint32(0, index);
        return participantIdOf(key);
      });
    const addresses = Array.from({ length: LIMITS.addresses.value }, () => 'x'.repeat(LIMITS.address.value));
    const manifest = exampleManifest({
      admission: { mode: 'allow-list', participants: names(LIMITS.participants.value).sort() },
      aggregators: names(LIMITS.aggregators.value).map((id) => ({ id, addresses })),
    });
    const { bytes } = signManifest(owner, manifest);
    assert.deepEqual(openManifest(bytes).content, manifest);
  });

  it('follows the one before it only with the same owner, the next version and its hash', () => {
    const first = exampleFederation();
    const next = (changes: Partial<Manifest>) => exampleFederation({ version: 2, previous: first.hash, ...changes });
    checkSuccession(first, next({}));
    assertRefused(() => checkSuccession(first, next({ version: 3 })), 'BROKEN_CHAIN');
    assertRefused(() => checkSuccession(first, next({ previous: hashOf('another') })), 'BROKEN_CHAIN');
    const taken = exampleManifest({ version: 2, previous: first.hash, owner: stranger.id });
    assertRefused(() => checkSuccession(first, openManifest(signManifest(stranger, taken).bytes)), 'WRONG_OWNER');
  });
});
