/** Each invariant is seen broken once, by breaking what it rests on: a check that cannot fail proves nothing. */
import assert from 'node:assert/strict';
import { brokenInvariants } from '../../../aggregator/simulation/invariants.ts';
import type { InvariantName } from '../../../aggregator/simulation/invariants.ts';
import { withDefaults } from '../../../aggregator/simulation/options.ts';
import type { SimulationOptions } from '../../../aggregator/simulation/options.ts';
import { dispose, simulate } from '../../../aggregator/simulation/simulation.ts';
import type { Outcome, RunOptions } from '../../../aggregator/simulation/simulation.ts';
import { ParticipantStore } from '../../../node/participant/store.ts';
import { sha256 } from '../../../protocol/names.ts';

const QUICK = { rounds: 3, trainingTime: 3_000, joinTime: 2_000, roundTime: 40_000, updateBytes: 100_000, loss: 0 };

/** The invariants that a run breaks. */
async function broken(
  given: Partial<SimulationOptions>,
  spoil?: RunOptions['spoil'],
  tamper?: (outcome: Outcome) => void,
): Promise<Set<InvariantName>> {
  const outcome = await simulate(withDefaults({ ...QUICK, ...given }), spoil ? { spoil } : {});
  try {
    tamper?.(outcome);
    return new Set(brokenInvariants(outcome).map(({ invariant }) => invariant));
  } finally {
    dispose(outcome);
  }
}

/** Puts another method in place of a class's own while something runs. */
async function replacing<Type extends object, Name extends keyof Type, Result>(
  type: Type,
  name: Name,
  method: (original: Type[Name]) => Type[Name],
  work: () => Promise<Result>,
): Promise<Result> {
  const original = type[name];
  type[name] = method(original);
  try {
    return await work();
  } finally {
    type[name] = original;
  }
}

describe('the invariants of a simulation', function () {
  this.timeout(120_000);

  it('hold when nothing is spoiled', async () => {
    assert.deepEqual([...(await broken({ seed: 1 }))], []);
  });

  it('I1 and I3 break on a disk that acknowledges what it has not synced', async () => {
    const found = new Set<InvariantName>();
    for (let seed = 0; seed < 6; seed++) {
      const careless = await broken({ seed, crashes: 4 }, ({ aggregator }) => {
        aggregator.machine.disk.syncs = false;
      });
      for (const name of careless) found.add(name);
    }
    assert.ok(found.has('I1'), [...found].join());
    assert.ok(found.has('I3'), [...found].join());
  });

  it('I2 breaks when a participant forgets its update and makes another', async () => {
    const forgetful = await broken({ seed: 2, dropout: 0.7 }, ({ participants, world }) => {
      for (const { machine } of participants) machine.disk.syncs = false;
      const { learning } = world;
      const update = learning.update.bind(learning);
      let salt = 0;
      learning.update = (name, ...rest) => update(`${name} ${salt++}`, ...rest);
    });
    assert.ok(forgetful.has('I2'), [...forgetful].join());
  });

  it('I4 breaks when an adapter is adopted that its updates do not give', async () => {
    const believed = await broken({ seed: 3, attack: 'wrong-sum', witnesses: 0 });
    assert.deepEqual([...believed], ['I4']);
  });

  it('I5 breaks when an update leaves before it is on record', async () => {
    const careless = await replacing(
      ParticipantStore.prototype,
      'recordOffer',
      () => () => undefined,
      () => broken({ seed: 4, rounds: 1 }),
    );
    assert.ok(careless.has('I5'), [...careless].join());
  });

  it('I6 breaks when an aggregator tells two stories and no witness stands by', async () => {
    const taken = await broken({ seed: 5, attack: 'two-stories', witnesses: 0, quorum: 5, dropout: 0 });
    assert.ok(taken.has('I6'), [...taken].join());
  });

  it('I7 breaks when a folder is named before it is whole', async () => {
    const half = await broken({ seed: 6, rounds: 2, dropout: 0.6 }, ({ participants }) => {
      for (const { machine } of participants) {
        const { folders } = machine.disk;
        const set = folders.set.bind(folders);
        // A rename that takes effect before what was written does, and stays so after a crash.
        folders.set = (name, adapter) => set(name, name.endsWith('.partial') ? adapter : { ...adapter, whole: false });
      }
    });
    assert.ok(half.has('I7'), [...half].join());
  });

  it('I8 breaks when somebody never comes back', async () => {
    const gone = await broken({ seed: 7, dropout: 0.5 }, ({ participants }) => {
      for (const { machine } of participants) machine.downtime = () => Infinity;
    });
    assert.ok(gone.has('I8'), [...gone].join());
  });

  it('I8 breaks when a participant ends with another adapter', async () => {
    const other = await broken({ seed: 8, rounds: 1 }, undefined, ({ history }) => {
      for (const { who, what } of history.happenings) {
        if (who === 'participant-3' && what.event === 'finished')
          Object.assign(what, { adapter: sha256(Buffer.from('x')) });
      }
    });
    assert.deepEqual([...other], ['I8']);
  });
});
