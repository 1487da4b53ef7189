/**
 * What a hostile participant does instead of its honest part in a round. One attack a file.
 *
 * Attackers are granted more than they would have: they see every honest update before they answer, they act together,
 * and they know the rule and its parameters. What they cannot do is send an update that the federation refuses at the
 * door, so every attack keeps to the manifest's bound on the length of an update.
 */
import type { PreferencePair } from '../../node/preferences/pairs.ts';
import type { RandomStream } from '../../node/training/randomStream.ts';
import type { RuleName } from '../../protocol/aggregation/rules.ts';
import type { Factor } from '../../protocol/messages.ts';
import type { FixedPointTensors } from '../../protocol/tensorBlob.ts';

export interface AttackedRound {
  /** The honest updates that the attackers have seen; at least one. A lone attacker may know only its own. */
  readonly honest: readonly FixedPointTensors[];
  /** What this attacker's own training gave, on its pairs as the attack left them; absent where it did not train. */
  readonly own?: FixedPointTensors | undefined;
  /** How many attack together, this one included. */
  readonly hostile: number;
  /** The whole adapter that the round starts from. */
  readonly parent: FixedPointTensors;
  readonly factor: Factor;
  readonly rule: RuleName;
  readonly parameters: Readonly<Record<string, number>>;
  /** Longest update that the manifest allows, L2 in units of the weights. */
  readonly normBound: number;
  /** This attacker's chance, another in every round. */
  readonly random: RandomStream;
}

export interface Attack {
  /** One line for people. */
  readonly label: string;
  /** `crude` needs no knowledge of the rule; `tuned` is made to pass under it. */
  readonly kind: 'crude' | 'tuned';
  /** The pairs it trains on, of those that it has; absent where it does not train. */
  readonly poison?: (pairs: readonly PreferencePair[]) => PreferencePair[];
  /** What it sends. An attack that only poisons pairs sends what its training gave. */
  readonly update: (round: AttackedRound) => FixedPointTensors;
  /** How many pairs it says it has; absent where it tells the truth. */
  readonly claimedPairs?: number;
}
