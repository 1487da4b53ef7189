import assert from 'node:assert/strict';
import { mkdtempDisposable, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openTrainingLog, type MetricLine } from '../../../node/training/trainingLog.ts';

const temporary = () => mkdtempDisposable(join(tmpdir(), 'prefmesh-log-'));
const line = (step: number, more: object = {}) => ({ step, ...more }) as MetricLine;
const text = (...lines: MetricLine[]) => lines.map((each) => `${JSON.stringify(each)}\n`).join('');

describe('training log', () => {
  it('holds each line once, in order, from wherever a run goes on', async () => {
    await using folder = await temporary();
    const file = join(folder.path, 'new', 'log.jsonl');
    {
      await using log = await openTrainingLog(file, null);
      for (const step of [0, 1, 2, 3]) await log.write(line(step));
      await log.write(line(3, { eval_loss: 0.5 }));
      await log.sync();
    }
    const whole = await readFile(file, 'utf8');
    for (const [step, lines] of [
      [3, 5],
      [2, 3],
      [0, 1],
    ] as const) {
      await writeFile(file, `${whole}{"step":4,"lo`);
      await using log = await openTrainingLog(file, step);
      assert.equal(await readFile(file, 'utf8'), whole.split('\n').slice(0, lines).join('\n') + '\n');
      await log.write(line(step + 1, { again: true }));
      const kept = await readFile(file, 'utf8');
      assert.ok(kept.endsWith(text(line(step + 1, { again: true }))));
    }
  });

  it('begins anew with a new run', async () => {
    await using folder = await temporary();
    const file = join(folder.path, 'log.jsonl');
    await writeFile(file, text(line(1), line(2)));
    await using log = await openTrainingLog(file, null);
    await log.write(line(1, { new: true }));
    assert.equal(await readFile(file, 'utf8'), text(line(1, { new: true })));
  });

  it('is cut where it is damaged', async () => {
    await using folder = await temporary();
    const file = join(folder.path, 'log.jsonl');
    await writeFile(file, `${text(line(1))}oh no\n${text(line(2))}`);
    await using log = await openTrainingLog(file, 9);
    assert.equal(await readFile(file, 'utf8'), text(line(1)));
    await log.sync();
  });
});
