import assert from 'node:assert/strict';
import { mkdtempDisposable, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { probeDevice } from '../../../../node/engine/devices/probe.ts';

describe('trying a device', function () {
  this.timeout(60_000);

  it('times the processor', async () => {
    const answer = await probeDevice('cpu', { threads: 1 });
    assert.ok(answer.usable && answer.milliseconds! > 0);
  });

  it('tells why a device cannot be used', async () => {
    const elsewhere = process.platform === 'darwin' ? 'directml' : 'coreml';
    const answer = await probeDevice(elsewhere, { threads: 1 });
    assert.ok(!answer.usable && /backend not found/.test(answer.reason), JSON.stringify(answer));
  });

  const ends: [what: string, program: string, reason: RegExp][] = [
    ['ends the process', 'process.abort();', /ended the process \(SIG(ABRT|TRAP|ILL)\)/],
    ['exits without an answer', 'process.exit(0);', /ended the process \(code 0\)/],
    ['never answers', 'setInterval(() => {}, 1000);', /no answer in 0.5 s/],
  ];
  for (const [what, program, reason] of ends) {
    it(`survives a driver that ${what}`, async () => {
      await using folder = await mkdtempDisposable(path.join(tmpdir(), 'prefmesh-test-'));
      const file = path.join(folder.path, 'program.mjs');
      await writeFile(file, program);
      const answer = await probeDevice('webgpu', { program: file, patience: what === 'never answers' ? 500 : 50_000 });
      assert.ok(!answer.usable);
      assert.match(answer.reason, reason);
    });
  }

  it('stops at a signal', async () => {
    const reason = new Error('enough');
    const controller = new AbortController();
    const probing = probeDevice('cpu', { signal: controller.signal });
    controller.abort(reason);
    await assert.rejects(probing, (error) => error === reason);
    await assert.rejects(probeDevice('cpu', { signal: controller.signal }), (error) => error === reason);
  });
});
