import assert from 'node:assert/strict';
import fc from 'fast-check';
import { LIMITS } from '../../protocol/limits.ts';
import { ReplayWindow } from '../../protocol/replay.ts';
import { identity } from './exampleFederation.ts';

const ann = identity(11).id;
const ben = identity(12).id;

describe('replay window', () => {
  it('has seen exactly what was recorded, sender by sender', () => {
    const window = new ReplayWindow();
    window.record(ann, 7);
    assert.ok(window.seen(ann, 7));
    assert.ok(!window.seen(ann, 6));
    assert.ok(!window.seen(ben, 7));
  });

  it('takes every number once, in whatever order they come within the window', () => {
    const sequences = fc.array(fc.integer({ min: 1, max: 2 ** 40 }), { maxLength: LIMITS.replayWindow.value });
    fc.assert(
      fc.property(sequences, (numbers) => {
        const window = new ReplayWindow();
        const taken = new Set<number>();
        for (const number of numbers) {
          assert.equal(window.seen(ann, number), taken.has(number));
          taken.add(number);
          if (!window.seen(ann, number)) window.record(ann, number);
        }
      }),
    );
  });

  it('counts what is older than the window as seen, and never forgets that', () => {
    const window = new ReplayWindow();
    const size = LIMITS.replayWindow.value;
    for (let number = 10; number < 10 + size + 1; number++) window.record(ann, number);
    for (const old of [1, 9, 10]) assert.ok(window.seen(ann, old), `${old}`);
    assert.ok(window.seen(ann, 11));
    assert.ok(!window.seen(ann, 10 + size + 1));
    assert.equal(window.windowOf(ann)!.taken.length, size);
  });

  it('goes on after a restart from what it gave', () => {
    const before = new ReplayWindow();
    for (let number = 1; number < 400; number += 2) before.record(ann, number);
    const after = new ReplayWindow(JSON.parse(JSON.stringify(before.entries())));
    for (let number = 1; number < 410; number++) assert.equal(after.seen(ann, number), before.seen(ann, number));
  });

  it('holds a bounded number of senders, dropping the one that was silent the longest', () => {
    const window = new ReplayWindow();
    const sender = (index: number) => `sender ${index}` as typeof ann;
    for (let index = 0; index < LIMITS.replaySenders.value; index++) window.record(sender(index), 1);
    window.record(sender(0), 2);
    window.record(ann, 1);
    assert.equal(window.entries().length, LIMITS.replaySenders.value);
    assert.ok(window.seen(sender(0), 1), 'spoke again, is kept');
    assert.ok(!window.seen(sender(1), 1), 'silent the longest, is dropped');
  });
});
