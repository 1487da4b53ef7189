/** Options drawn from a seed: a federation, its troubles and its enemies as nobody would think them up. */
import { RandomStream } from '../../node/training/randomStream.ts';
import type { RuleName } from '../../protocol/aggregation/rules.ts';
import { ATTACK_NAMES, isAggregatorAttack } from './attackers.ts';
import { withDefaults } from './options.ts';
import type { SimulationOptions } from './options.ts';

const RULES: readonly RuleName[] = ['robust', 'robust', 'alternating', 'median', 'trimmed-mean', 'krum', 'multi-krum'];

/** What `given` leaves open is drawn; the same seed draws the same. */
export function drawnOptions(seed: number, given: Partial<SimulationOptions> = {}): SimulationOptions {
  const random = new RandomStream('simulation', seed, 'scenario');
  const chance = (share: number): boolean => random.uniform() < share;
  const between = (low: number, high: number): number => low + (high - low) * random.uniform();
  const oneOf = <Item>(items: readonly Item[]): Item => items[Math.floor(random.uniform() * items.length)]!;
  const stated = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  const participants = given.participants ?? 20;
  const drawn = {
    participants,
    rounds: 1,
    rule: oneOf(RULES),
    witnesses: oneOf([0, 1, 3]),
    quorum: Math.min(participants, Math.ceil(between(5, 0.6 * participants))),
    dropout: chance(0.5) ? between(0, 0.5) : 0,
    loss: chance(0.7) ? between(0, 0.15) : 0,
    duplication: chance(0.5) ? between(0, 0.2) : 0,
    latency: Math.round(between(5, 400)),
    partition: chance(0.3) ? between(0.1, 0.6) : 0,
    crashes: chance(0.5) ? between(0, 3) : 0,
    decay: chance(0.4) ? between(0, 4) : 0,
    skew: chance(0.4) ? Math.round(between(0, 60_000)) : 0,
    attack: chance(0.5) ? oneOf(ATTACK_NAMES) : null,
    attackers: Math.floor(participants * between(0, 0.2)),
    updateBytes: Math.round(between(20_000, 1_000_000)),
    trainingTime: Math.round(between(500, 4_000)),
    roundTime: Math.round(between(15_000, 35_000)),
    joinTime: Math.round(between(500, 8_000)),
    ...stated,
    seed,
  };
  // Two histories tell nobody apart whom no witness guards: then one that lies is believed, and the manual says so.
  const lies = drawn.attack !== null && isAggregatorAttack(drawn.attack);
  return withDefaults(lies ? { ...drawn, witnesses: Math.max(3, drawn.witnesses) } : drawn);
}
