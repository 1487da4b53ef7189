import assert from 'node:assert/strict';
import { mending } from '../../aggregator/mending.ts';
import type { MendingComponents } from '../../aggregator/mending.ts';
import { LostUpdate } from '../../aggregator/rounds.ts';
import { identityOf } from '../../aggregator/simulation/cast.ts';
import { PrefmeshError } from '../../protocol/errors.ts';
import { LIMITS } from '../../protocol/limits.ts';
import { sha256 } from '../../protocol/names.ts';
import type { Sha256 } from '../../protocol/names.ts';
import { initialState } from '../../protocol/roundState.ts';
import { smallFederation } from './simulation/smallFederation.ts';

const members = Array.from({ length: 40 }, (_, i) => identityOf('participant', i).id);
const state = {
  ...initialState(smallFederation(40).content, 1),
  members: Object.fromEntries(members.map((id) => [id, { missed: 0 }])),
};
const [update, adapter] = [sha256(Buffer.from('update')), sha256(Buffer.from('adapter'))];

/** Work that needs these blobs, where each comes back when it is fetched from somebody who has it. */
function disk(damaged: readonly Sha256[], has: (peer: string, blob: Sha256) => boolean) {
  const gone = new Set(damaged);
  const asked: { readonly blob: Sha256; readonly from: readonly string[] }[] = [];
  const components: MendingComponents = {
    ledger: {
      senderOf: (blob) => (blob === update ? members[7] : undefined),
      receipt: () => undefined,
      state,
    },
    client: {
      fetch: (blob, { from }) => {
        asked.push({ blob, from });
        if (!from.some((peer) => has(String(peer), blob)))
          return Promise.reject(new PrefmeshError('BLOB_MISSING', { hash: blob }));
        gone.delete(blob);
        return Promise.resolve({ size: 1, transferred: 1, attempts: 1 });
      },
    },
  };
  const work = (): Promise<string> => {
    for (const hash of gone) {
      const error = new PrefmeshError('BLOB_CORRUPT', { hash, file: 'quarantine' });
      return Promise.reject(hash === update ? new LostUpdate(hash, error) : error);
    }
    return Promise.resolve('made');
  };
  return { components, work, asked };
}

describe('mending what the own disk has damaged', () => {
  it('asks the sender for an update and members for an adapter, and does the work again', async () => {
    const { components, work, asked } = disk([update, adapter], () => true);
    assert.equal(await mending(work, components), 'made');
    assert.deepEqual(asked, [
      { blob: update, from: [members[7]] },
      { blob: adapter, from: Object.keys(state.members).slice(0, LIMITS.mendingPeers.value) },
    ]);
  });

  it('throws what the work threw where nobody has the blob', async () => {
    const lost = disk([update], () => false);
    await assert.rejects(mending(lost.work, lost.components), LostUpdate);
    const damaged = disk([adapter], () => false);
    await assert.rejects(mending(damaged.work, damaged.components), { code: 'BLOB_CORRUPT' });
  });

  it('asks once, however often the work fails', async () => {
    const { components, asked } = disk([], () => true);
    const failing = () => Promise.reject(new PrefmeshError('BLOB_CORRUPT', { hash: adapter, file: 'quarantine' }));
    await assert.rejects(mending(failing, components), { code: 'BLOB_CORRUPT' });
    assert.equal(asked.length, 1);
  });

  it('leaves every other failure alone', async () => {
    const { components, asked } = disk([], () => true);
    await assert.rejects(
      mending(() => Promise.reject(new PrefmeshError('OUT_OF_RANGE', { tensor: 'a', bits: 32 })), components),
      { code: 'OUT_OF_RANGE' },
    );
    assert.deepEqual(asked, []);
  });
});
