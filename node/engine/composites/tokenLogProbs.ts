/**
 * The scored head: log-probabilities of given tokens, in nats, without ever holding all logits at once.
 *
 * Positions go through the head in chunks, and each chunk sees the vocabulary block by block: of a block's logits only
 * their log-sum stays. With `P = softmax(h Wᵀ)` the derivative of `log P[target]` by `h` is `W[target] - P W`. Where
 * it will be wanted it is computed beside the block's own logits, so a backward pass keeps one row of width `d` for
 * each position in place of one of the vocabulary's width. Barriers between the blocks hold the runtime to that order.
 */

import { barrierAfter } from '../barrier.ts';
import { apply, type Composite, type Value } from '../graph.ts';
import { add, exponential, multiply, subtract } from '../operators/elementwise.ts';
import { gatherRows, scatterRows } from '../operators/indexing.ts';
import { concat, reshape, sliceAxis } from '../operators/layout.ts';
import { matmul } from '../operators/matmul.ts';
import { logSoftmax, softmax } from '../operators/softmax.ts';
import { sum } from '../operators/broadcasting.ts';

export interface TokenLogProbsAttributes {
  /** Positions that go through the head at once. */
  readonly chunk: number;
  /** Tokens of the vocabulary that are seen at once: `chunk · block` logits are held. */
  readonly block?: number;
  /** Whether the derivative by the hidden states will be wanted: it is then computed in passing. */
  readonly slopes: boolean;
}

/** A packed block of this many rows and its logits for a thousand positions stay within a processor's caches. */
export const HEAD_BLOCK = 4096;

const TOKEN_LOG_PROBS: Composite<TokenLogProbsAttributes> = {
  kind: 'composite',
  name: 'tokenLogProbs',
  infer: ([, , targets]) => ({ shape: targets!.shape, type: 'float32' }),
  expand([hidden, head, targets], attributes) {
    const parts = passes(hidden!, head!, targets!, attributes);
    return concat(
      parts.map(({ hidden: h, target, logSum }) => {
        const logit = sum(multiply(h, target), [-1]);
        return subtract(logit, reshape(logSum, logit.shape));
      }),
      0,
    );
  },
  derivative({ inputs, attributes }, gradient) {
    const [hidden, head, targets] = inputs as [Value, Value, Value];
    const rows = reshape(gradient, [hidden.shape[0]!, 1]);
    const parts = passes(hidden, head, targets, attributes);
    const slopes = parts.map(({ target, logSum, blocks }) => {
      const expected = blocks.map((block) => multiply(block.mean, exponential(subtract(block.logSum, logSum))));
      return subtract(target, expected.reduce(add));
    });
    const weighted = multiply(rows, hidden);
    const expected = parts
      .map(({ start, hidden: h, logSum, blocks }) => {
        const own = sliceAxis(weighted, 0, start, h.shape[0]!);
        const each = blocks.map(({ probabilities, logSum: part }) =>
          matmul(probabilities, multiply(own, exponential(subtract(part, logSum))), { transposeA: true, exact: true }),
        );
        return concat(each, 0);
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

/** One block of the vocabulary as a chunk of positions sees it. */
interface Block {
  /** Softmax within the block, `[rows, block]`. */
  readonly probabilities: Value;
  /** The rows of the head, averaged by those probabilities: `[rows, d]`. */
  readonly mean: Value;
  /** Logarithm of the sum of the block's exponentials, `[rows, 1]`. */
  readonly logSum: Value;
}

interface Pass {
  /** The first position of the chunk. */
  readonly start: number;
  /** `[rows, d]`: the hidden states, and the head's rows of the targets. */
  readonly hidden: Value;
  readonly target: Value;
  readonly blocks: readonly Block[];
  /** Over the whole vocabulary, `[rows, 1]`. */
  readonly logSum: Value;
}

function passes(hidden: Value, head: Value, targets: Value, attributes: TokenLogProbsAttributes): Pass[] {
  const { chunk, block = HEAD_BLOCK, slopes } = attributes;
  const [count, vocabulary] = [hidden.shape[0]!, head.shape[0]!];
  let next = (x: Value): Value => x;
  return starts(count, chunk).map((start) => {
    const rows = Math.min(chunk, count - start);
    const own = sliceAxis(hidden, 0, start, rows);
    const blocks = starts(vocabulary, block).map((first) => {
      const part = sliceAxis(head, 0, first, Math.min(block, vocabulary - first));
      const logits = matmul(next(own), part, { transposeB: true, exact: true });
      const logProbs = logSoftmax(logits);
      const logSum = subtract(sliceAxis(logits, 1, 0, 1), sliceAxis(logProbs, 1, 0, 1));
      // The softmax of log-probabilities is that of the logits, and has a faster kernel than their exponential.
      const probabilities = softmax(logProbs);
      const mean = matmul(probabilities, part, { exact: true });
      if (slopes) next = barrierAfter(add(logSum, sliceAxis(mean, 1, 0, 1)));
      return { probabilities, mean, logSum };
    });
    const logSums = concat(
      blocks.map((each) => each.logSum),
      1,
    );
    const logSum = subtract(sliceAxis(logSums, 1, 0, 1), sliceAxis(logSoftmax(logSums), 1, 0, 1));
    const target = gatherRows(head, sliceAxis(targets, 0, start, rows));
    return { start, hidden: own, target, blocks, logSum };
  });
}

function starts(count: number, step: number): number[] {
  return Array.from({ length: Math.ceil(count / step) }, (_, i) => i * step);
}
