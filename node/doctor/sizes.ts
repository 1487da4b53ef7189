/**
 * What a federation's next adapter takes: to send, to fetch, to keep.
 */
import { ruleByName } from '../../protocol/aggregation/rules.ts';
import type { Manifest } from '../../protocol/manifest.ts';
import { blobBytes } from '../../protocol/tensorBlob.ts';
import { factorTable } from '../../protocol/update.ts';
import type { ModelConfig } from '../model/config.ts';
import { adapterVectorTable } from '../training/adapterVector.ts';

export interface AdapterSizes {
  /** Bytes of the adapter that a round publishes. */
  readonly adapter: number;
  /** Bytes of the largest update that a round takes from each participant. */
  readonly update: number;
  /** Disk space that a round needs: its adapter, and the updates that it takes at least, to repeat it from. */
  readonly disk: number;
}

/** @param round the round that is to come */
export function adapterSizes(
  { adapter, aggregation, quorum }: Manifest,
  config: ModelConfig,
  round: number,
): AdapterSizes {
  const table = adapterVectorTable(config, adapter).toSorted((a, b) => (a.name < b.name ? -1 : 1));
  const sent = factorTable(table, ruleByName(aggregation.rule).factorOf(round));
  const sizes = { adapter: blobBytes(table), update: blobBytes(sent) };
  return { ...sizes, disk: sizes.adapter + (quorum + 1) * sizes.update };
}
