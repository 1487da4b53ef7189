/**
 * The scored head: log-probabilities of given tokens, in nats, without ever holding all logits at once.
 *
 * Rows go through the head in chunks. With `P = softmax(h Wᵀ)` the derivative of `log P[target]` by `h` is
 * `W[target] - P W`: it is computed from the chunk's own logits, so a backward pass keeps one row of width `d` per
 * position in place of one of the vocabulary's width.
 */

import { apply, type Composite, type Value } from '../graph.ts';
import { add, exponential, multiply, subtract } from '../operators/elementwise.ts';
import { gatherRows, pick, scatterRows } from '../operators/indexing.ts';
import { concat, reshape, sliceAxis } from '../operators/layout.ts';
import { matmul } from '../operators/matmul.ts';
import { logSoftmax } from '../operators/softmax.ts';

interface TokenLogProbsAttributes {
  /** Rows per chunk. */
  readonly chunk: number;
}

const TOKEN_LOG_PROBS: Composite<TokenLogProbsAttributes> = {
  kind: 'composite',
  name: 'tokenLogProbs',
  infer: ([, , targets]) => ({ shape: targets!.shape, type: 'float32' }),
  expand([hidden, head, targets], { chunk }) {
    const parts = chunks(hidden!, targets!, chunk);
    return concat(
      parts.map((part) => pick(logProbs(part.hidden, head!), part.targets)),
      0,
    );
  },
  derivative({ inputs, attributes }, gradient) {
    const [hidden, head, targets] = inputs as [Value, Value, Value];
    const rows = reshape(gradient, [hidden.shape[0]!, 1]);
    const parts = chunks(hidden, targets, attributes.chunk);
    const slopes = parts.map((part) => {
      const probabilities = exponential(logProbs(part.hidden, head));
      return subtract(gatherRows(head, part.targets), matmul(probabilities, head, { exact: true }));
    });
    const weighted = multiply(rows, hidden);
    const expected = parts
      .map((part) => {
        const own = sliceAxis(weighted, 0, part.start, part.hidden.shape[0]!);
        return matmul(exponential(logProbs(part.hidden, head)), own, { transposeA: true, exact: true });
      })
      .reduce(add);
    const forHead = subtract(scatterRows(weighted, targets, head.shape[0]!), expected);
    return [multiply(rows, concat(slopes, 0)), forHead, null];
  },
};

/** `hidden` `[n, d]`, `head` `[vocabulary, d]`, `targets` `[n]`: `log softmax(hidden headᵀ)[target]`, `[n]`. */
export function tokenLogProbs(hidden: Value, head: Value, targets: Value, attributes: TokenLogProbsAttributes): Value {
  return apply(TOKEN_LOG_PROBS, [hidden, head, targets], attributes);
}

function logProbs(hidden: Value, head: Value): Value {
  return logSoftmax(matmul(hidden, head, { transposeB: true, exact: true }));
}

function chunks(hidden: Value, targets: Value, chunk: number): { start: number; hidden: Value; targets: Value }[] {
  const count = hidden.shape[0]!;
  return Array.from({ length: Math.ceil(count / chunk) }, (_, i) => {
    const start = i * chunk;
    const rows = Math.min(chunk, count - start);
    return { start, hidden: sliceAxis(hidden, 0, start, rows), targets: sliceAxis(targets, 0, start, rows) };
  });
}
