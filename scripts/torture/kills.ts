/**
 * `kill -9` of real processes at drawn moments: an aggregator and two participants, each of which dies again and again,
 * at a change of its files or at some time, and is started again at once.
 *
 * After every death what the process had said must be on its disk (`history.ts`); and at the end the federation must
 * have closed the same rounds with the same adapters as one that nobody disturbed.
 */
import assert from 'node:assert/strict';
import { performance } from 'node:perf_hooks';
import type { AggregatorEvent } from '../../aggregator/events.ts';
import type { ParticipantEvent } from '../../node/participant/events.ts';
import { FederationFixture, MODEL } from '../../test/aggregator/federationFixture.ts';
import { Program } from '../../test/aggregator/program.ts';
import { History } from './history.ts';
import { describeMoment, drawMoment, type Moment } from './moments.ts';

export interface KillsOptions {
  readonly kills: number;
  readonly seed: number;
  /** Rounds of one federation; when they are closed and kills are left, another one begins. */
  readonly rounds?: number;
  readonly onKill?: (kill: { readonly number: number; readonly process: string; readonly moment: string }) => void;
}

export interface KillsReport {
  readonly kills: number;
  /** Kills by the process that was killed. */
  readonly byProcess: Readonly<Record<string, number>>;
  readonly federations: number;
  readonly roundsClosed: number;
  /** From the start of an aggregator that was killed before to its `listening` (ms), each. */
  readonly recoveries: readonly number[];
}

const PRELOAD = new URL('./dyingProcess.ts', import.meta.url).href;
const AGGREGATOR = 'aggregator';
const AN_HOUR = 3_600_000;

/** Kills until the number is reached, and lets the last federation end. Throws an assertion that names the seed. */
export async function killAtRandom({ kills, seed, rounds = 8, onKill }: KillsOptions): Promise<KillsReport> {
  const quota: Quota = { kills, drawn: 0, done: 0, byProcess: {}, onKill };
  const recoveries: number[] = [];
  try {
    const expected = await new Torment(rounds, seed, { ...quota, kills: 0 }, []).live();
    let federations = 0;
    do {
      const torment = new Torment(rounds, seed + federations, quota, recoveries);
      assert.deepEqual(await torment.live(), expected, 'the adapters of the rounds');
      federations += 1;
    } while (quota.done < kills);
    const { done, byProcess } = quota;
    return { kills: done, byProcess, federations, roundsClosed: federations * rounds, recoveries };
  } catch (error) {
    if (error instanceof Error) error.message = `seed ${seed}, kill ${quota.done}: ${error.message}`;
    throw error;
  }
}

interface Quota {
  readonly kills: number;
  /** Moments that were given to a life; some lives end before theirs. */
  drawn: number;
  done: number;
  readonly byProcess: Record<string, number>;
  readonly onKill: KillsOptions['onKill'];
}

type AnyEvent = AggregatorEvent | ParticipantEvent;

/** One federation from its first start to its end. */
class Torment {
  readonly #rounds: number;
  readonly #seed: number;
  readonly #quota: Quota;
  readonly #recoveries: number[];
  readonly #history = new History();
  readonly #running = new Set<Program<AnyEvent>>();
  /** Everybody has the last adapter, or something is wrong. */
  readonly #over = Promise.withResolvers<'over'>();
  #isOver = false;

  constructor(rounds: number, seed: number, quota: Quota, recoveries: number[]) {
    this.#rounds = rounds;
    this.#seed = seed;
    this.#quota = quota;
    this.#recoveries = recoveries;
  }

  /** The adapters of all rounds. */
  async live(): Promise<string[]> {
    const terms = { deadlines: { join: AN_HOUR, round: AN_HOUR } };
    using fixture = await FederationFixture.make({ participants: 2, rounds: this.#rounds, steps: 1, terms });
    try {
      const address = await this.#open(fixture);
      const aggregator = this.#torment(fixture, AGGREGATOR, fixture.aggregatorArguments('--listen', address));
      const participants = fixture.names.map((name) =>
        this.#torment(fixture, name, fixture.participantArguments(name)),
      );
      const done = Promise.all(participants).finally(() => this.#end());
      await Promise.all([aggregator, done]);
      return Array.from({ length: this.#rounds }, (_, i) => this.#history.adapters.get(i + 1) ?? 'none');
    } finally {
      this.#end();
      await Promise.all([...this.#running].map((program) => program.kill()));
    }
  }

  #end(): void {
    this.#isOver = true;
    this.#over.resolve('over');
  }

  /** Lets everybody join, at an address that the aggregator comes back to. */
  async #open(fixture: FederationFixture): Promise<string> {
    await using stack = new AsyncDisposableStack();
    const aggregator = new Program<AggregatorEvent>(fixture.aggregatorArguments());
    stack.defer(() => aggregator.kill());
    const address = (await aggregator.until('listening')).addresses[0]!;
    for (const name of fixture.names) await fixture.join(name, address);
    return address.replace(/\/p2p\/.*$/, '');
  }

  /** One life after the other: a participant's until it has the last adapter, the aggregator's until all have. */
  async #torment(fixture: FederationFixture, name: string, args: string[]): Promise<void> {
    const home = fixture.path(name);
    const { id } = await fixture.identity(name);
    for (let life = 0, finished = false; !finished && !this.#isOver; life++) {
      const moment = this.#quota.drawn < this.#quota.kills ? drawMoment(this.#seed, name, life) : undefined;
      if (moment !== undefined) this.#quota.drawn += 1;
      const events = await this.#live(name, args, moment, life > 0);
      if (name === AGGREGATOR) {
        this.#history.hearAggregator(events as AggregatorEvent[]);
        this.#history.checkAggregator(home);
      } else {
        this.#history.hearParticipant(id, events as ParticipantEvent[]);
        await this.#history.checkParticipant(home, id, MODEL, events as ParticipantEvent[]);
        finished = events.some(({ event }) => event === 'finished');
      }
    }
  }

  /** One life, ended at the moment if it comes before the end of the federation; answers what the process said. */
  async #live(name: string, args: string[], moment: Moment | undefined, again: boolean): Promise<readonly AnyEvent[]> {
    const started = performance.now();
    const program = new Program<AnyEvent>(args, moment?.kind === 'change' ? dyingAt(moment) : {});
    this.#running.add(program);
    using timer = new DisposableStack();
    const first = program.until(name === AGGREGATOR ? 'listening' : 'started').then(
      () => {
        if (name === AGGREGATOR && again) this.#recoveries.push(performance.now() - started);
        if (moment?.kind !== 'time') return;
        const timeout = setTimeout(() => void program.kill(), moment.after);
        timer.defer(() => clearTimeout(timeout));
      },
      () => undefined, // it died before
    );
    const end = name === AGGREGATOR ? this.#over.promise : program.until('finished').catch(() => 'dead');
    const outcome = await Promise.race([end, program.exit.then(() => 'dead' as const)]);
    if (outcome !== 'dead') await program.kill();
    const exit = await program.exit;
    await first;
    this.#running.delete(program);
    // Another program may have been given the port meanwhile; the files have no part in that.
    const busy = program.stderr.includes('PORT_BUSY');
    assert.ok(exit === null || busy, `${name} ended by itself with ${exit}:\n${program.stderr}`);
    if (moment === undefined) return program.events;
    if (outcome === 'dead' && !busy) this.#count(name, moment);
    else this.#quota.drawn -= 1;
    return program.events;
  }

  #count(name: string, moment: Moment): void {
    const quota = this.#quota;
    quota.done += 1;
    quota.byProcess[name] = (quota.byProcess[name] ?? 0) + 1;
    quota.onKill?.({ number: quota.done, process: name, moment: describeMoment(moment) });
  }
}

/** The environment in which a process dies at a change of its files. */
function dyingAt({ at, when }: Extract<Moment, { kind: 'change' }>): Record<string, string> {
  return { NODE_OPTIONS: `--import ${PRELOAD}`, PREFMESH_DIE_AT: `${at} ${when}` };
}
