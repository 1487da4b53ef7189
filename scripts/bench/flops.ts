/** How much arithmetic a graph asks for. */
import { inTopologicalOrder, sizeOf, type Value } from '../../node/engine/graph.ts';
import type { MatmulAttributes } from '../../node/engine/operators/matmul.ts';
import { simplify } from '../../node/engine/simplify.ts';

/** Multiplications and additions of all matrix products that computing `outputs` takes, each value once. */
export function matmulFlops(outputs: readonly Value[]): number {
  let flops = 0;
  for (const value of inTopologicalOrder(simplify(outputs, () => false))) {
    if (value.kind !== 'application' || value.operator.name !== 'matmul') continue;
    const first = value.inputs[0]!.shape;
    const inner = (value.attributes as MatmulAttributes).transposeA ? first.at(-2)! : first.at(-1)!;
    flops += 2 * inner * sizeOf(value.shape);
  }
  return flops;
}
