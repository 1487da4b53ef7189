import assert from 'node:assert/strict';
import { mkdtempDisposable, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openCsvLog } from '../../../node/training/csvLog.ts';
import type { MetricLine } from '../../../node/training/trainingLog.ts';

const line = (step: number, figures: object) => ({ step, ...figures }) as MetricLine;

describe('table of metrics', () => {
  it('has a row for each line, with what it lacks left empty, and goes on from any step', async () => {
    await using folder = await mkdtempDisposable(join(tmpdir(), 'prefmesh-csv-'));
    const file = join(folder.path, 'log.csv');
    {
      await using log = await openCsvLog(file, null);
      await log.write(line(0, { eval_loss: 0.7, epoch: 0 }));
      await log.write(line(1, { loss: 1e-12, epoch: 0.5 }));
      await log.write(line(2, { loss: 0.25, 'rewards/margins': -1 }));
    }
    const text = await readFile(file, 'utf8');
    const [header, ...rows] = text.trimEnd().split('\n');
    const names = header!.split(',');
    assert.deepEqual(names.slice(0, 5), ['step', 'epoch', 'loss', 'sft_loss', 'grad_norm']);
    const read = rows.map((row) => Object.fromEntries(row.split(',').map((cell, i) => [names[i]!, cell])));
    assert.deepEqual(
      read.map((row) => [row.step, row.epoch, row.loss, row['rewards/margins'], row.eval_loss]),
      [
        ['0', '0', '', '', '0.7'],
        ['1', '0.5', '1e-12', '', ''],
        ['2', '', '0.25', '-1', ''],
      ],
    );
    assert.ok(read.every((row) => Object.keys(row).length === names.length));

    await writeFile(file, `${text}3,0.7`);
    for (const [step, kept] of [
      [2, 4],
      [0, 2],
    ] as const) {
      await using log = await openCsvLog(file, step);
      await log.sync();
      assert.deepEqual((await readFile(file, 'utf8')).split('\n').slice(0, -1), text.split('\n').slice(0, kept));
    }
    await using _ = await openCsvLog(file, null);
    assert.equal(await readFile(file, 'utf8'), `${header}\n`);
  });
});
