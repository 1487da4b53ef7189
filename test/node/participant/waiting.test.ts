import assert from 'node:assert/strict';
import { Waiting } from '../../../node/participant/waiting.ts';
import { LIMITS } from '../../../protocol/limits.ts';
import { roundNumber } from '../../../protocol/names.ts';

const never = new AbortController().signal;

/** One that would pause for a second at least. */
function patient(): Waiting {
  const waiting = new Waiting();
  for (let i = 0; i < 10; i++) waiting.relax();
  return waiting;
}

/** Half of the longest pause is random. */
const SHORTEST_PAUSE = LIMITS.pollLongest.value / 2;

describe('waiting for the federation', () => {
  it('ends at once when news came before it began', async () => {
    const waiting = patient();
    waiting.hear(roundNumber(1), 'training');
    const started = performance.now();
    await waiting.wait(never);
    assert.ok(performance.now() - started < SHORTEST_PAUSE);
  });

  it('ends when news comes', async () => {
    const waiting = patient();
    const started = performance.now();
    const waited = waiting.wait(never);
    waiting.hear(roundNumber(1), 'published');
    await waited;
    assert.ok(performance.now() - started < SHORTEST_PAUSE);
  });

  it('rejects with the reason of the signal', async () => {
    const controller = new AbortController();
    const waited = new Waiting().wait(controller.signal);
    controller.abort(new Error('stop'));
    await assert.rejects(waited, /stop/);
  });

  it('ends training when the round is heard to be closed, and not before', () => {
    const waiting = new Waiting();
    using over = waiting.roundOver(roundNumber(3), never);
    waiting.hear(roundNumber(3), 'collecting');
    waiting.hear(roundNumber(2), 'published');
    assert.equal(over.signal.aborted, false);
    waiting.hear(roundNumber(3), 'aggregating');
    assert.equal(over.signal.aborted, true);
  });
});
