import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Ledger } from '../../aggregator/ledger.ts';
import { Rounds } from '../../aggregator/rounds.ts';
import { MessageHeaders } from '../../node/participant/messageHeaders.ts';
import { openReceipt } from '../../protocol/receipt.ts';
import { factorOfRound, initialState, type CollectingRound } from '../../protocol/roundState.ts';
import {
  aggregator,
  exampleFederation,
  exampleFigures,
  hashOf,
  NOW,
  participants,
} from '../protocol/exampleFederation.ts';

const FEDERATION = exampleFederation({ rounds: 2, maxParticipants: 2 });
const MEMBERS = participants.slice(0, 2);

/** The process dies here. */
class Crash extends Error {
  override readonly name = 'Crash';
}

/** A ledger that lets the process die at its nth write, just before it is on disk or just after. */
function dyingLedger(ledger: Ledger, dieAt: number, moment: 'before' | 'after', writes: { count: number }): Ledger {
  return new Proxy(ledger, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== 'function') return value;
      if (name !== 'commit' && name !== 'storeReceipt') return value.bind(target) as unknown;
      return (...args: unknown[]) => {
        writes.count += 1;
        if (writes.count === dieAt && moment === 'before') throw new Crash();
        Reflect.apply(value, target, args);
        if (writes.count === dieAt) throw new Crash();
      };
    },
  });
}

/** Lives a federation of two members through to its end, restarting when the process dies; answers its receipts. */
async function live(
  file: string,
  dieAt: number,
  moment: 'before' | 'after',
): Promise<{ receipts: string[]; writes: number }> {
  const writes = { count: 0 };
  for (;;) {
    using opened = Ledger.open(file, FEDERATION, () => initialState(FEDERATION.content, NOW));
    const ledger = dyingLedger(opened, dieAt, moment, writes);
    await using rounds = new Rounds({
      federation: FEDERATION,
      identity: aggregator,
      ledger,
      headers: new MessageHeaders(FEDERATION.hash, () => NOW),
      now: () => NOW,
      alarm: () => ({ [Symbol.dispose]: () => {} }),
      aggregate: ({ round, blobs }) =>
        Promise.resolve({ candidate: hashOf(`${round} of ${blobs.join()}`), optimizerState: null }),
      evaluate: () => Promise.resolve(exampleFigures()),
      announce: () => Promise.resolve(),
      describe: () => ({ accuracy: null, byTaste: {} }),
      bytesReceived: () => 0,
      onEvent: () => {},
    });
    try {
      await drive(rounds);
      const receipts = [1, 2].map((round) => ledger.receipt(round)!.hash);
      for (const round of [1, 2]) openReceipt(ledger.receipt(round)!.envelope);
      return { receipts, writes: writes.count };
    } catch (error) {
      if (!(error instanceof Crash)) throw error;
    }
  }
}

/** What members do: join while the round is open, offer while it collects, and ask again and again otherwise. */
async function drive(rounds: Rounds): Promise<void> {
  let failure: unknown;
  rounds.finished.catch((error: unknown) => (failure = error));
  rounds.start();
  while (rounds.state.phase !== 'finished') {
    const { state } = rounds;
    if (state.phase === 'open') {
      for (const { id } of MEMBERS)
        rounds.feed({ type: 'joined', at: NOW, participant: id, request: hashOf(`join ${id}`) });
    } else if (state.phase === 'training' || state.phase === 'collecting') {
      for (const { id } of MEMBERS) offer(rounds, state, id);
    }
    await new Promise((resolve) => setImmediate(resolve));
    if (failure !== undefined) throw failure;
  }
  await rounds.finished;
}

function offer(
  rounds: Rounds,
  { round, parent, ...state }: CollectingRound,
  sender: (typeof MEMBERS)[number]['id'],
): void {
  const factor = factorOfRound({ round, parent, ...state });
  const envelope = hashOf(`offer ${round} ${sender}`);
  const blob = hashOf(`update ${round} ${sender}`);
  const update = { round, sender, envelopeHash: envelope, envelope: Uint8Array.of(1), blob, code: null };
  rounds.feed(
    {
      type: 'update-accepted',
      at: NOW,
      offer: { sender, envelope, blob, bytes: 10, pairsBucket: 8, round, factor, parent },
    },
    { update },
  );
}

describe('an aggregator that dies at a write', function () {
  this.timeout(60_000);
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'prefmesh-crashes-'));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  it('signs the receipts that it would have signed, whichever write it is', async () => {
    const undisturbed = await live(join(folder, 'undisturbed.sqlite'), Infinity, 'after');
    assert.ok(undisturbed.writes > 12, `only ${undisturbed.writes} writes`);
    for (let dieAt = 1; dieAt <= undisturbed.writes; dieAt++) {
      for (const moment of ['before', 'after'] as const) {
        const { receipts } = await live(join(folder, `${dieAt}-${moment}.sqlite`), dieAt, moment);
        assert.deepEqual(receipts, undisturbed.receipts, `death ${moment} write ${dieAt}`);
      }
    }
  });
});
