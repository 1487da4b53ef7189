/**
 * Byte-pair encoding over bytes, trained from scratch: Sennrich et al. 2016 on the byte alphabet of GPT-2.
 *
 * Text is cut into words by GPT-2's pattern; merges never cross a word. The most frequent neighbouring pair is merged
 * first, equal counts in the order of their symbols, so that the same text always gives the same merges.
 */

/** GPT-2's pattern, the one that a `ByteLevel` pre-tokenizer with `use_regex` applies. */
const WORDS = /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+/gu;

export interface BytePairs {
  /** All tokens in order of their ids: the 256 byte symbols, then one for each merge. */
  readonly tokens: readonly string[];
  readonly merges: readonly (readonly [string, string])[];
}

/** The printable character that stands for each byte, as in GPT-2's `bytes_to_unicode`. */
export const BYTE_SYMBOLS: readonly string[] = byteSymbols();

function byteSymbols(): string[] {
  const symbols: string[] = [];
  let spare = 256;
  for (let byte = 0; byte < 256; byte++) {
    const printable = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
    symbols.push(String.fromCharCode(printable ? byte : spare++));
  }
  return symbols;
}

/** Learns merges until there are `size` tokens, or until no pair occurs twice. */
export function trainBytePairs(texts: Iterable<string>, size: number): BytePairs {
  const words = [...countWords(texts)].map(([word, count]) => ({ symbols: symbolsOf(word), count }));
  const tokens = [...BYTE_SYMBOLS];
  const merges: (readonly [string, string])[] = [];
  while (tokens.length < size) {
    const best = mostFrequentPair(words);
    if (best === undefined) break;
    merges.push(best);
    tokens.push(best.join(''));
    for (const word of words) word.symbols = merge(word.symbols, best);
  }
  return { tokens, merges };
}

/** Encodes texts by the learnt merges; each word is worked out once. */
export class BytePairEncoder {
  readonly #ids: ReadonlyMap<string, number>;
  readonly #ranks: ReadonlyMap<string, number>;
  readonly #words = new Map<string, readonly number[]>();

  constructor({ tokens, merges }: BytePairs) {
    this.#ids = new Map(tokens.map((token, id) => [token, id]));
    this.#ranks = new Map(merges.map((pair, rank) => [pair.join(' '), rank]));
  }

  encode(text: string): number[] {
    return (text.match(WORDS) ?? []).flatMap((word) => this.#encodeWord(word));
  }

  #encodeWord(word: string): readonly number[] {
    const known = this.#words.get(word);
    if (known !== undefined) return known;
    let symbols = symbolsOf(word);
    for (let pair = this.#firstMerge(symbols); pair !== undefined; pair = this.#firstMerge(symbols)) {
      symbols = merge(symbols, pair);
    }
    const ids = symbols.map((symbol) => this.#ids.get(symbol) as number);
    this.#words.set(word, ids);
    return ids;
  }

  #firstMerge(symbols: readonly string[]): readonly [string, string] | undefined {
    let best: readonly [string, string] | undefined;
    let bestRank = Infinity;
    for (const pair of pairsOf(symbols)) {
      const rank = this.#ranks.get(pair.join(' ')) ?? Infinity;
      if (rank < bestRank) [best, bestRank] = [pair, rank];
    }
    return best;
  }
}

function countWords(texts: Iterable<string>): Map<string, number> {
  const counts = new Map<string, number>();
  for (const text of texts) {
    for (const word of text.match(WORDS) ?? []) counts.set(word, (counts.get(word) ?? 0) + 1);
  }
  return counts;
}

function symbolsOf(word: string): string[] {
  return Array.from(new TextEncoder().encode(word), (byte) => BYTE_SYMBOLS[byte] as string);
}

function mostFrequentPair(
  words: readonly { readonly symbols: readonly string[]; readonly count: number }[],
): readonly [string, string] | undefined {
  const counts = new Map<string, number>();
  for (const { symbols, count } of words) {
    for (const pair of pairsOf(symbols)) {
      const key = pair.join(' ');
      counts.set(key, (counts.get(key) ?? 0) + count);
    }
  }
  let best: string | undefined;
  let bestCount = 1;
  for (const [key, count] of counts) {
    if (count > bestCount || (count === bestCount && best !== undefined && key < best))
      [best, bestCount] = [key, count];
  }
  return best?.split(' ') as [string, string] | undefined;
}

function* pairsOf(symbols: readonly string[]): Generator<readonly [string, string]> {
  for (let index = 0; index + 1 < symbols.length; index++) {
    yield [symbols[index] as string, symbols[index + 1] as string];
  }
}

function merge(symbols: readonly string[], [left, right]: readonly [string, string]): string[] {
  const merged: string[] = [];
  for (let index = 0; index < symbols.length; index++) {
    const joins = symbols[index] === left && symbols[index + 1] === right;
    merged.push(joins ? left + right : (symbols[index] as string));
    if (joins) index++;
  }
  return merged;
}
