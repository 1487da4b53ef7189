/** What a person may say of a simulated federation. All of it has a default, and follows from the seed otherwise. */
import type { RuleName } from '../../protocol/aggregation/rules.ts';
import type { AttackName } from './attackers.ts';

export interface SimulationOptions {
  readonly seed: number;
  readonly participants: number;
  readonly rounds: number;
  readonly rule: RuleName;
  /** Fewest updates that close a round. */
  readonly quorum: number;
  /** Members who repeat every round and cosign; a majority of them is waited for. */
  readonly witnesses: number;

  /** Chance that a participant goes away in a round, before or while it sends. */
  readonly dropout: number;
  /** Chance that a request, reply or announcement is lost, and that a request comes twice. */
  readonly loss: number;
  readonly duplication: number;
  /** Median one-way delay in ms. */
  readonly latency: number;
  /** Share of the participants that is cut off for a while, once every few rounds; 0 for none. */
  readonly partition: number;
  /** Crashes of the aggregator, expected a round, at any of its effects. */
  readonly crashes: number;
  /** Blobs that rot on a disk, expected a round over all machines. */
  readonly decay: number;
  /** Clocks are off by up to so many ms, either way. */
  readonly skew: number;

  readonly attack: AttackName | null;
  /** How many participants attack. */
  readonly attackers: number;

  /** Bytes of one round's update as it travels. */
  readonly updateBytes: number;
  /** Bytes a second of a participant's link, and of the aggregator's; witnesses have one like the aggregator. */
  readonly bandwidth: number;
  readonly aggregatorBandwidth: number;
  /** Median training time of a round, and how long the round waits for answers, in ms. */
  readonly trainingTime: number;
  readonly roundTime: number;
  /** How long the first round waits for others once its quorum is there, in ms. */
  readonly joinTime: number;
}

export const DEFAULTS: Omit<SimulationOptions, 'quorum' | 'roundTime'> = {
  seed: 0,
  participants: 20,
  rounds: 10,
  rule: 'robust',
  witnesses: 3,
  dropout: 0.1,
  loss: 0.01,
  duplication: 0.01,
  latency: 50,
  partition: 0,
  crashes: 0,
  decay: 0,
  skew: 0,
  attack: null,
  attackers: 0,
  updateBytes: 4 * 1024 ** 2,
  bandwidth: 2_500_000,
  aggregatorBandwidth: 125_000_000,
  trainingTime: 120_000,
  joinTime: 30_000,
};

/** The options with their defaults, of which some follow from others. */
export function withDefaults(given: Partial<SimulationOptions>): SimulationOptions {
  const stated = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  const options = { ...DEFAULTS, ...stated } as SimulationOptions;
  const { participants, updateBytes, bandwidth, aggregatorBandwidth, trainingTime, latency } = options;
  // All updates have to pass the aggregator's link, once more for each witness, and the adapter of both factors comes back.
  const passing = participants * updateBytes * (3 + options.witnesses);
  const transfers = (1000 * passing) / aggregatorBandwidth + (1000 * 3 * updateBytes) / bandwidth;
  // A witness fetches them one after the other, and nobody trains for the next round before it has.
  const witnessing = options.witnesses === 0 ? 0 : 4 * participants * latency;
  return {
    ...options,
    quorum: given.quorum ?? Math.min(participants, Math.max(3, Math.ceil(participants / 2))),
    roundTime: given.roundTime ?? Math.ceil(2 * trainingTime + 2 * transfers + witnessing + 60_000),
    witnesses: Math.min(options.witnesses, participants),
  };
}
