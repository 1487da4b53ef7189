/** What all simulated nodes of a run share. */
import type { OpenedManifest } from '../../protocol/manifest.ts';
import type { Sha256 } from '../../protocol/names.ts';
import type { Happening } from './history.ts';
import type { Learning } from './learning.ts';
import type { SimulatedNetwork } from './network.ts';
import type { Schedule } from './schedule.ts';
import type { SharedVerification } from './sharedVerification.ts';

export interface World {
  readonly seed: number;
  readonly schedule: Schedule;
  readonly network: SimulatedNetwork;
  readonly learning: Learning;
  readonly federation: OpenedManifest;
  readonly verification: SharedVerification;
  /** Bytes on the wire for each byte of a simulated blob. */
  readonly inflation: number;
  /** Median time that training takes, in ms. */
  readonly trainingTime: number;
  /** Names of those who keep to the protocol. */
  readonly honest: readonly string[];
  /** Every blob that anybody made: what an auditor who kept everything would hold. */
  readonly archive: Map<Sha256, Uint8Array>;
  /** Notes what happens to somebody. */
  readonly tell: (who: string, what: Happening['what']) => void;
  /** Told of an error that is none of the protocol's: a fault in the program. */
  readonly onFault: (error: unknown) => void;
}
