import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { Output } from '../../../node/commands/output.ts';
import { duration, progressLine } from '../../../node/commands/progress.ts';

/** A stream that remembers what was written, posing as a terminal or as a file. */
function recorder(isTTY: boolean): { stream: NodeJS.WriteStream; text: () => string } {
  const chunks: Buffer[] = [];
  const stream = new PassThrough();
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  return {
    stream: Object.assign(stream, { isTTY, columns: 80 }) as unknown as NodeJS.WriteStream,
    text: () => Buffer.concat(chunks).toString(),
  };
}

describe('progress', () => {
  it('says how far, how fast and how long still', () => {
    const line = progressLine({ label: 'training', total: 200, unit: 'steps' }, 50, 5, 'loss 0.51');
    assert.equal(line, 'training  50/200 steps  5.00 steps/s  30 s left  loss 0.51');
  });

  it('counts what a resumed run does itself, not what was done before', () => {
    let now = 0;
    const target = recorder(false);
    const output = new Output({ json: false }, { stdout: target.stream, stderr: target.stream });
    const progress = output.progress({ label: 'training', total: 200, from: 100, unit: 'steps', now: () => now });
    now += 10_000;
    progress.update(150);
    assert.equal(target.text(), 'training  150/200 steps  5.00 steps/s  10 s left\n');
  });

  it('judges the time left by the latest half minute, and slow work by its latest steps', () => {
    for (const [slow, quick, expected] of [
      // 60 steps of a second, then 31 seconds of ten steps each: 1000 - 60 - 310 left at 10 a second.
      [1000, 100, '10.0 steps/s  1 min 3 s left'],
      // 60 steps of ten minutes, then 310 of one minute.
      [600_000, 60_000, '0.0167 steps/s  10 h 30 min left'],
    ] as const) {
      let now = 0;
      const target = recorder(false);
      const output = new Output({ json: false }, { stdout: target.stream, stderr: target.stream });
      const progress = output.progress({ label: 'training', total: 1000, unit: 'steps', now: () => now });
      for (let step = 1; step <= 370; step++) {
        now += step <= 60 ? slow : quick;
        progress.update(step);
      }
      const last = target.text().trimEnd().split('\n').at(-1)!;
      assert.ok(last.endsWith(expected), last);
    }
  });

  it('leaves out the time left where the total is unknown', () => {
    assert.equal(progressLine({ label: 'reading', unit: 'pairs' }, 30, 15, ''), 'reading  30 pairs  15.0 pairs/s');
  });

  it('says durations as people do', () => {
    assert.deepEqual([8.4, 200, 7500].map(duration), ['8 s', '3 min 20 s', '2 h 5 min']);
  });

  it('redraws one line on a terminal and writes plain lines at intervals elsewhere', () => {
    for (const isTTY of [true, false]) {
      let now = 0;
      const target = recorder(isTTY);
      const output = new Output({ json: false }, { stdout: target.stream, stderr: target.stream });
      const progress = output.progress({ label: 'work', total: 100, unit: 'steps', now: () => now });
      for (let step = 1; step <= 100; step++) {
        now += 100;
        progress.update(step);
      }
      progress.end();
      const lines = target.text().split('\n').filter(Boolean);
      assert.equal(lines.length, isTTY ? 1 : 3);
      assert.equal(target.text().includes('\r'), isTTY);
      assert.match(lines.at(-1) ?? '', /work {2}100\/100 steps {2}10\.0 steps\/s$/);
    }
  });
});

describe('output', () => {
  const streams = (isTTY: boolean) => ({ stdout: recorder(isTTY), stderr: recorder(true) });
  const write = (json: boolean, isTTY: boolean) => {
    const { stdout, stderr } = streams(isTTY);
    const output = new Output({ json }, { stdout: stdout.stream, stderr: stderr.stream });
    output.human('words');
    output.json({ a: 1 });
    output.product('text');
    return { stdout: stdout.text(), stderr: stderr.text() };
  };

  it('puts nothing but JSON lines on stdout with --json', () => {
    assert.deepEqual(write(true, true), { stdout: '{"a":1}\n', stderr: 'words\n' });
  });

  it('puts words on the terminal without --json', () => {
    assert.deepEqual(write(false, true), { stdout: 'words\ntext', stderr: '' });
  });

  it('keeps words out of a pipe, which gets the product alone', () => {
    assert.deepEqual(write(false, false), { stdout: 'text', stderr: 'words\n' });
  });

  it('aligns the columns of a table', () => {
    const target = recorder(false);
    const output = new Output({ json: false }, { stdout: target.stream, stderr: target.stream });
    output.table([
      ['', 'accuracy'],
      ['base', '0.5'],
      ['federated', '0.75'],
    ]);
    assert.equal(target.text(), '           accuracy\nbase            0.5\nfederated      0.75\n');
  });
});
