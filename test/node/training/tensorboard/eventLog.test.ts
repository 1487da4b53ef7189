import assert from 'node:assert/strict';
import { mkdtempDisposable, readdir, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { crc32c, maskedCrc32c } from '../../../../node/training/tensorboard/crc32c.ts';
import { openEventLog } from '../../../../node/training/tensorboard/eventLog.ts';
import { frameRecord, readRecords } from '../../../../node/training/tensorboard/records.ts';
import type { MetricLine } from '../../../../node/training/trainingLog.ts';
import { readEvents } from './eventReader.ts';

const temporary = () => mkdtempDisposable(join(tmpdir(), 'prefmesh-events-'));
const line = (step: number, figures: object) => ({ step, ...figures }) as MetricLine;
const bytes = (count: number, value: (i: number) => number) => Uint8Array.from({ length: count }, (_, i) => value(i));

describe('CRC-32C', () => {
  it('has the published values', () => {
    // RFC 3720, appendix B.4, and the check value of the catalogue of CRCs.
    assert.equal(crc32c(bytes(32, () => 0)), 0x8a9136aa);
    assert.equal(crc32c(bytes(32, () => 0xff)), 0x62a8ab43);
    assert.equal(crc32c(bytes(32, (i) => i)), 0x46dd794e);
    assert.equal(crc32c(bytes(32, (i) => 31 - i)), 0x113fdb5c);
    assert.equal(crc32c(Buffer.from('123456789')), 0xe3069283);
    // The length field of 24 that every event file begins with.
    assert.equal(maskedCrc32c(Uint8Array.of(24, 0, 0, 0, 0, 0, 0, 0)), 0x224b7fa3);
  });
});

describe('records', () => {
  it('come back from their frames, up to the first damaged one', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 40 }), { minLength: 1 }), fc.nat(), fc.nat(7), (all, at, bit) => {
        const file = Buffer.concat(all.map(frameRecord));
        const ends: number[] = [];
        for (const [i, { data, end }] of [...readRecords(file)].entries()) {
          assert.deepEqual(Buffer.from(data), Buffer.from(all[i]!));
          ends.push(end);
        }
        assert.equal(ends.length, all.length);
        assert.equal(ends.at(-1), file.length);
        const offset = at % file.length;
        file[offset] = file[offset]! ^ (1 << bit);
        assert.equal([...readRecords(file)].length, ends.filter((end) => end <= offset).length);
        assert.equal([...readRecords(file.subarray(0, offset))].length, ends.filter((end) => end <= offset).length);
      }),
    );
  });
});

describe('event file', () => {
  it('is read by an independent reader, with the tags of the usual trainers', async () => {
    await using folder = await temporary();
    const target = join(folder.path, 'deep', 'down');
    let now = 1_700_000_000.25;
    {
      await using log = await openEventLog(target, null, () => now++);
      await log.write(line(0, { eval_loss: 0.5, 'eval_rewards/margins': -2, epoch: 0 }));
      await log.write(line(3_000_000_000, { loss: 0.1, 'rewards/chosen': 1e-9, epoch: 0.5 }));
      await log.sync();
    }
    const [name, ...others] = await readdir(target);
    assert.match(name!, /^events\.out\.tfevents\./);
    assert.deepEqual(others, []);
    assert.deepEqual(readEvents(await readFile(join(target, name!))), [
      { wallTime: 1_700_000_000.25, step: 0, fileVersion: 'brain.Event:2', scalars: {} },
      {
        wallTime: 1_700_000_001.25,
        step: 0,
        fileVersion: undefined,
        scalars: { 'eval/loss': 0.5, 'eval/rewards/margins': -2, 'eval/epoch': 0 },
      },
      {
        wallTime: 1_700_000_002.25,
        step: 3_000_000_000,
        fileVersion: undefined,
        scalars: { 'train/loss': Math.fround(0.1), 'train/rewards/chosen': Math.fround(1e-9), 'train/epoch': 0.5 },
      },
    ]);
  });

  it('is cut back to the step that a run goes on from, and begun anew by a new run', async () => {
    await using folder = await temporary();
    {
      await using log = await openEventLog(folder.path, null);
      for (const step of [1, 2, 3]) await log.write(line(step, { loss: step }));
    }
    const file = join(folder.path, (await readdir(folder.path))[0]!);
    const whole = await readFile(file);
    await writeFile(file, Buffer.concat([whole, whole.subarray(0, 21)]));
    const stepsAfter = async (resumed: number | null, next: number) => {
      await using log = await openEventLog(folder.path, resumed);
      await log.write(line(next, { loss: next }));
      return readEvents(await readFile(file)).map(({ step, fileVersion }) => fileVersion ?? step);
    };
    const version = 'brain.Event:2';
    assert.deepEqual(await stepsAfter(3, 4), [version, 1, 2, 3, 4]);
    assert.deepEqual(await stepsAfter(1, 2), [version, 1, 2]);
    assert.deepEqual(await stepsAfter(null, 1), [version, 1]);
  });
});
