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

/** One on a clock that stands until it is told to ring, with the longest pause that chance allows. */
function clocked() {
  const pauses: number[] = [];
  let rings = (): void => undefined;
  const after = (wait: number, ring: () => void): Disposable => {
    pauses.push(wait);
    rings = ring;
    return { [Symbol.dispose]: () => undefined };
  };
  const waiting = new Waiting({ clock: { after }, random: () => 1 });
  return { waiting, pauses, ring: () => rings() };
}

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

  it('goes on when what is heard is no more than the aggregator said last', async () => {
    const { waiting, pauses, ring } = clocked();
    waiting.told({ round: roundNumber(2), phase: 'training', members: 3 });
    for (const phase of ['open', 'training', 'collecting', 'aggregating'] as const) waiting.hear(roundNumber(2), phase);
    waiting.hear(roundNumber(1), 'published');
    const waited = waiting.wait(never);
    assert.equal(pauses.length, 1);
    ring();
    await waited;
    waiting.hear(roundNumber(2), 'published');
    await waiting.wait(never);
    assert.equal(pauses.length, 1, 'news ends a wait before it begins');
  });

  it('takes longer pauses where many members ask', async () => {
    const longest = async (members: number): Promise<number> => {
      const { waiting, pauses, ring } = clocked();
      waiting.told({ round: roundNumber(1), phase: 'training', members });
      for (let i = 0; i < 30; i++) waiting.relax();
      const waited = waiting.wait(never);
      ring();
      await waited;
      return pauses[0]!;
    };
    assert.equal(await longest(3), LIMITS.pollLongest.value);
    assert.equal(await longest(1_000), LIMITS.pollShare.value * 1_000);
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
