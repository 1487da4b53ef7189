/** An adapter as it is when its receipt has passed every check. */
import { openCheckpoint } from '../../../node/model/checkpoint.ts';
import { initialAdapter } from '../../../node/training/adapter.ts';
import { roundNumber } from '../../../protocol/names.ts';
import type { Receipt } from '../../../protocol/receipt.ts';
import { quantize } from '../../../protocol/update.ts';
import { MODEL } from '../../aggregator/federationFixture.ts';
import { exampleFederation, exampleManifest, hashOf } from '../../protocol/exampleFederation.ts';

export async function verifiedAdapter(round: number) {
  const { config, hash } = await openCheckpoint(MODEL);
  const layout = { rank: 2, targets: ['q_proj'] } as const;
  const { vector, table } = initialAdapter(config, layout, 4, round);
  const federation = exampleFederation({
    base: { name: 'tiny', hash: hash as ReturnType<typeof hashOf> },
    adapter: { ...exampleManifest().adapter, rank: 2, alpha: 4, targets: ['q_proj'] },
  });
  const receipt = { round: roundNumber(round), output: hashOf(`round ${round}`), updates: [] } as unknown as Receipt;
  return { adopted: { federation, receipt, tensors: quantize(vector, table, 20), table }, config };
}
