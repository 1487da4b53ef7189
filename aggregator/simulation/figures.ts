/** The figures of a run: what a person who plans a federation asks for, and what is broken. */
import { isAggregatorAttack } from './attackers.ts';
import { brokenInvariants } from './invariants.ts';
import type { BrokenInvariant } from './invariants.ts';
import type { SimulationOptions } from './options.ts';
import { dispose, simulate } from './simulation.ts';
import type { Outcome, RunOptions } from './simulation.ts';

/** Named as `prefmesh simulate --json` prints them. */
export interface SimulationFigures {
  readonly seed: number;
  readonly participants: number;
  readonly attackers: number;
  readonly attack: string | null;
  readonly rule: string;
  readonly rounds_closed: number;
  /** Rounds that left the adapter as it was, with the reasons. */
  readonly rounds_skipped: number;
  readonly skip_reasons: Readonly<Record<string, number>>;
  readonly updates_accepted: number;
  /** Updates that the cohort owed and that were not in the record: away, late, refused. */
  readonly updates_lost: number;
  /** Median time from the start of a round's training to its receipt, in simulated seconds. */
  readonly round_seconds: number | null;
  /** All that went over the network. */
  readonly bytes: number;
  readonly simulated_seconds: number;
  /** What the simulation took. */
  readonly seconds: number;
  /** Of the stand-in for a model, before the first round and after the last. */
  readonly accuracy: { readonly before: number; readonly after: number };
  /** Points of accuracy that the same run without the attack has more; null where nobody attacks. */
  readonly damage_points: number | null;
  readonly invariants_broken: readonly BrokenInvariant[];
  /** The last adapter's blob. */
  readonly output_hash: string;
  /** Hash of everything that happened, in order: the same for the same options. */
  readonly history_hash: string;
}

export interface FiguresOptions extends RunOptions {
  /** Whether an attacked federation is run once more without its attackers, for comparison. */
  readonly compare?: boolean;
}

/** Runs a federation and checks the invariants. Throws what `simulate` throws. */
export async function figuresOf(
  options: SimulationOptions,
  { compare = false, ...run }: FiguresOptions = {},
): Promise<SimulationFigures> {
  const started = performance.now();
  const outcome = await simulate(options, run);
  const figures = { ...summaryOf(outcome), invariants_broken: brokenInvariants(outcome) };
  dispose(outcome);
  const seconds = (performance.now() - started) / 1000;
  const damage =
    compare && options.attack !== null ? await damageOf(options, figures.accuracy.after, run.signal) : null;
  return { ...figures, seconds, damage_points: damage };
}

type Summary = Omit<SimulationFigures, 'seconds' | 'damage_points' | 'invariants_broken'>;

function summaryOf({ options, aggregator, accuracy, bytes, simulatedSeconds, history, output }: Outcome): Summary {
  const receipts = aggregator.receipts().map(({ content }) => content);
  const reasons: Record<string, number> = {};
  for (const { reason } of receipts) if (reason !== null) reasons[reason] = (reasons[reason] ?? 0) + 1;
  const published = receipts.filter(({ outcome }) => outcome === 'published').length;
  const accepted = receipts.map(({ updates }) => updates.filter(({ verdict }) => verdict === 'accepted').length);
  const total = accepted.reduce((sum, count) => sum + count, 0);
  const times = receipts.map(({ startedAt, closedAt }) => (closedAt - startedAt) / 1000).sort((a, b) => a - b);
  const { seed, participants, attack, rule } = options;
  return {
    seed,
    participants,
    attackers: attack === null ? 0 : isAggregatorAttack(attack) ? 1 : options.attackers,
    attack,
    rule,
    rounds_closed: published,
    rounds_skipped: receipts.length - published,
    skip_reasons: reasons,
    updates_accepted: total,
    updates_lost: receipts.reduce((sum, { cohort }) => sum + cohort.length, 0) - total,
    round_seconds: times[Math.floor(times.length / 2)] ?? null,
    bytes,
    simulated_seconds: simulatedSeconds,
    accuracy,
    output_hash: output,
    history_hash: history.hash(),
  };
}

async function damageOf(options: SimulationOptions, attacked: number, signal?: AbortSignal): Promise<number> {
  const peaceful = await simulate({ ...options, attack: null, attackers: 0 }, { signal });
  const difference = peaceful.accuracy.after - attacked;
  dispose(peaceful);
  return 100 * difference;
}
