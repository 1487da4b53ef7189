import assert from 'node:assert/strict';
import { checkpointedGradients } from '../../../node/engine/activationCheckpoints.ts';
import { silu } from '../../../node/engine/composites/swiglu.ts';
import { gradients } from '../../../node/engine/derivative.ts';
import { inTopologicalOrder, input, type Input, type Value } from '../../../node/engine/graph.ts';
import { add } from '../../../node/engine/operators/elementwise.ts';
import { matmul } from '../../../node/engine/operators/matmul.ts';
import { sum } from '../../../node/engine/operators/broadcasting.ts';
import { evaluate } from '../../../node/engine/reference.ts';
import { simplify } from '../../../node/engine/simplify.ts';
import { RandomStream } from '../../../node/training/randomStream.ts';

const [LAYERS, WIDTH] = [4, 3];

/** A chain of residual layers `x + silu(x Wᵀ) Wᵀ`, each with its own W, ending in a sum. */
function chain() {
  const factors = Array.from({ length: LAYERS }, (_, layer) => input(`w${layer}`, [WIDTH, WIDTH]));
  const layerInputs: Value[] = [];
  let x: Value = input('x', [2, WIDTH]);
  for (const w of factors) {
    layerInputs.push(x);
    x = add(x, matmul(silu(matmul(x, w, { transposeB: true })), w, { transposeB: true }));
  }
  return { factors, layerInputs, loss: sum(silu(x), [0, 1]) };
}

function feedsOf(factors: readonly Input[]): Record<string, Float32Array> {
  const random = new RandomStream('activation checkpoints');
  const numbers = (count: number) => Float32Array.from({ length: count }, () => random.uniform() - 0.5);
  return { x: numbers(2 * WIDTH), ...Object.fromEntries(factors.map(({ name }) => [name, numbers(WIDTH * WIDTH)])) };
}

const count = (outputs: readonly Value[], operator: string): number =>
  inTopologicalOrder(simplify(outputs, () => false)).filter(
    (value) => value.kind === 'application' && value.operator.name === operator,
  ).length;

/** How many values of the forward pass the backward pass reads. */
function keptOf(loss: Value, slopes: readonly Value[]): number {
  const [forward, ...backward] = simplify([loss, ...slopes], () => false);
  const first = new Set(inTopologicalOrder([forward!]));
  const later = inTopologicalOrder(backward).filter((value) => !first.has(value));
  const read = later.flatMap((value) => (value.kind === 'application' ? value.inputs : []));
  return new Set(read.filter((value) => value.kind === 'application' && first.has(value))).size;
}

describe('gradients with activation checkpoints', () => {
  const { factors, layerInputs, loss } = chain();
  const plain = gradients(loss, factors);
  const checkpointed = checkpointedGradients(loss, factors, layerInputs);

  it('are those without, to the bit', () => {
    const feeds = feedsOf(factors);
    assert.deepEqual(evaluate(checkpointed, feeds), evaluate(plain, feeds));
  });

  it('compute each layer but the last again, which nothing merges with the first time', () => {
    // Of a layer the backward pass needs silu(x Wᵀ) and its slope, so the first product and the sigmoid come twice.
    assert.equal(count(plain, 'sigmoid'), LAYERS + 1);
    assert.equal(count(checkpointed, 'sigmoid') - count(plain, 'sigmoid'), LAYERS - 1);
    assert.equal(count(checkpointed, 'matmul') - count(plain, 'matmul'), LAYERS - 1);
  });

  it('keep of the forward pass only the inputs of layers and what follows the last of them', () => {
    // The first layer's input is the graph's own. In the last layer, and behind it, silu's slope needs x, σ(x), silu(x).
    assert.equal(keptOf(loss, checkpointed), LAYERS - 1 + 3 + 3);
    assert.ok(keptOf(loss, plain) >= 3 * LAYERS);
  });

  it('are plain gradients where no value is kept, and zero by a variable that is not used', () => {
    const feeds = { ...feedsOf(factors), unused: new Float32Array(2) };
    const none = checkpointedGradients(loss, factors, []);
    assert.deepEqual(evaluate(none, feeds), evaluate(plain, feeds));
    const [unused] = checkpointedGradients(loss, [input('unused', [2]), ...factors], layerInputs);
    assert.deepEqual([...evaluate([unused!], feeds)[0]!.data], [0, 0]);
  });

  it('are refused of a loss that is no scalar', () => {
    assert.throws(() => checkpointedGradients(input('x', [2]), [], []), /must be a scalar/);
  });
});
