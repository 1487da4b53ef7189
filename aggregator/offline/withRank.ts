/** The same adapter at another rank: with directions of zeros added, or the last ones cut off. */
import type { Adapter } from '../../node/training/adapter.ts';
import type { AdapterVectorEntry } from '../../node/training/adapterVector.ts';

/** @param adapter with its scale folded in, so that alpha equals its rank */
export function withRank(adapter: Adapter, rank: number): Adapter {
  if (adapter.rank === rank) return adapter;
  let length = 0;
  const table = adapter.table.map((entry): AdapterVectorEntry => {
    const [rows, columns] = entry.shape;
    const shape = entry.factor === 'A' ? ([rank, columns] as const) : ([rows, rank] as const);
    const offset = length;
    length += shape[0] * shape[1];
    return { ...entry, shape, offset };
  });
  const vector = new Float32Array(length);
  for (const [i, { offset, shape }] of table.entries()) {
    const from = adapter.table[i]!;
    const columns = Math.min(shape[1], from.shape[1]);
    for (let row = 0; row < Math.min(shape[0], from.shape[0]); row++) {
      const start = from.offset + row * from.shape[1];
      vector.set(adapter.vector.subarray(start, start + columns), offset + row * shape[1]);
    }
  }
  return { ...adapter, rank, alpha: rank, table, vector };
}
