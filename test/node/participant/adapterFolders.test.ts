import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openCheckpoint } from '../../../node/model/checkpoint.ts';
import { adoptAdapter, currentAdapter } from '../../../node/participant/adapterFolders.ts';
import { initialAdapter } from '../../../node/training/adapter.ts';
import { readPeftAdapter } from '../../../node/training/peft.ts';
import { roundNumber } from '../../../protocol/names.ts';
import type { Receipt } from '../../../protocol/receipt.ts';
import { quantize } from '../../../protocol/update.ts';
import { MODEL } from '../../aggregator/federationFixture.ts';
import { exampleFederation, exampleManifest, hashOf } from '../../protocol/exampleFederation.ts';

describe('an adapter that was verified', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'prefmesh-adapters-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  async function verified(round: number) {
    const { config, hash } = await openCheckpoint(MODEL);
    const layout = { rank: 2, targets: ['q_proj'] } as const;
    const { vector, table } = initialAdapter(config, layout, 4, round);
    const federation = exampleFederation({
      base: { name: 'tiny', hash: hash as ReturnType<typeof hashOf> },
      adapter: { ...exampleManifest().adapter, rank: 2, alpha: 4, targets: ['q_proj'] },
    });
    const receipt = { round: roundNumber(round), output: hashOf(`round ${round}`), updates: [] } as unknown as Receipt;
    return { adopted: { federation, receipt, tensors: quantize(vector, table, 20), table }, config };
  }

  it('is there as a PEFT folder, and pointed to', async () => {
    const first = await verified(1);
    const one = await adoptAdapter(folder, first.adopted);
    assert.equal(currentAdapter(folder), one);
    const two = await adoptAdapter(folder, (await verified(2)).adopted);
    assert.equal(currentAdapter(folder), two);
    assert.ok(existsSync(one));
    const read = await readPeftAdapter(join(folder, 'current'), first.config);
    assert.deepEqual([read.rank, read.alpha], [2, 2]);
  });

  it('is not taken from a folder that was left half-written', async () => {
    const { adopted, config } = await verified(1);
    const draft = join(folder, 'round-1.partial');
    mkdirSync(draft);
    writeFileSync(join(draft, 'adapter_config.json'), '{');
    assert.equal(currentAdapter(folder), null);
    const written = await adoptAdapter(folder, adopted);
    await readPeftAdapter(written, config);
    assert.deepEqual(readdirSync(folder).toSorted(), ['current', 'round-1']);
    assert.equal(await adoptAdapter(folder, adopted), written);
  });
});
