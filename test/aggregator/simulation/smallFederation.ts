import { simulatedFederation } from '../../../aggregator/simulation/cast.ts';
import type { OpenedManifest } from '../../../protocol/manifest.ts';

/** Two rounds of the default rule among so many, on the simulator's terms. */
export function smallFederation(participants: number): OpenedManifest {
  return simulatedFederation({
    participants,
    rounds: 2,
    rule: 'robust',
    quorum: 3,
    witnesses: 0,
    joinTime: 10,
    roundTime: 1_000,
    createdAt: 1,
  });
}
