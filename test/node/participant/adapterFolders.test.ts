import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { adoptAdapter, currentAdapter } from '../../../node/participant/adapterFolders.ts';
import { readPeftAdapter } from '../../../node/training/peft.ts';
import { verifiedAdapter } from './verifiedAdapter.ts';

describe('an adapter that was verified', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'prefmesh-adapters-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  it('is there as a PEFT folder, and pointed to', async () => {
    const first = await verifiedAdapter(1);
    const one = await adoptAdapter(folder, first.adopted);
    assert.equal(currentAdapter(folder), one);
    const two = await adoptAdapter(folder, (await verifiedAdapter(2)).adopted);
    assert.equal(currentAdapter(folder), two);
    assert.ok(existsSync(one));
    const read = await readPeftAdapter(join(folder, 'current'), first.config);
    assert.deepEqual([read.rank, read.alpha], [2, 2]);
  });

  it('is not taken from a folder that was left half-written', async () => {
    const { adopted, config } = await verifiedAdapter(1);
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
