/**
 * Leaving a federation. What counts is the mark in the store: from then on nothing is trained or sent. The aggregator
 * is told as well, so that no round waits for a member that is gone; where it cannot be told, rounds find out.
 */
import type { Logger } from 'pino';
import { isPrefmeshError } from '../../protocol/errors.ts';
import { LIMITS } from '../../protocol/limits.ts';
import type { OpenedManifest } from '../../protocol/manifest.ts';
import { roundNumber } from '../../protocol/names.ts';
import { systemClock } from '../clock.ts';
import { within } from '../network/deadline.ts';
import { findProviders } from '../network/discovery.ts';
import { FederationClient } from '../network/federation/client.ts';
import { Host } from '../network/host.ts';
import type { PresetName } from '../network/presets.ts';
import { isDeadline } from '../network/problem.ts';
import { DataFolder } from '../storage/dataFolder.ts';
import { openIdentity } from '../storage/keys.ts';
import { AggregatorLink } from './aggregatorLink.ts';
import type { ParticipantStore } from './store.ts';

export interface LeaveOptions {
  readonly home: string;
  readonly network: PresetName;
  readonly bootstrap: readonly string[];
  readonly log: Logger;
  readonly signal?: AbortSignal | undefined;
}

/** Tells the aggregator, unless a node runs in the folder and will; answers whether it was told. */
export async function leaveFederation(
  store: ParticipantStore,
  federation: OpenedManifest,
  options: LeaveOptions,
): Promise<'yes' | 'no' | 'by-running-node'> {
  let folder: DataFolder;
  try {
    folder = await DataFolder.open(options.home);
  } catch (error) {
    if (isPrefmeshError(error, 'HOME_LOCKED')) return 'by-running-node';
    throw error;
  }
  using _lock = folder;
  const identity = await openIdentity(folder);
  try {
    await within(LIMITS.leaveWait.value, options.signal, async (signal) => {
      const { network, bootstrap, log } = options;
      await using host = await Host.start(identity, { preset: network, role: 'participant', bootstrap, log });
      const client = new FederationClient(host);
      const link = new AggregatorLink({
        federation,
        identity,
        host,
        client,
        providers: (each) => findProviders(host, federation.hash, each),
        clock: systemClock,
        onFound: () => {},
      });
      await link.ask('leave', roundNumber(0), {}, ['acknowledgement'], { signal });
    });
    return 'yes';
  } catch (error) {
    if (!isPrefmeshError(error) && !isDeadline(error)) throw error;
    return 'no';
  } finally {
    store.setStatus(federation.hash, 'left');
  }
}
