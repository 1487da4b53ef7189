/**
 * Asks real llama.cpp about a GGUF model, with or without a LoRA adapter on it: a process of its own, since a native
 * library that gives up takes its process along. Reads a request as JSON from standard input, answers as JSON.
 */
import { text } from 'node:stream/consumers';

export interface Request {
  readonly model: string;
  readonly adapter?: string | undefined;
  /** Texts to tokenise, special tokens written out in them included. */
  readonly texts?: readonly string[];
  /** Token ids whose log-probabilities are wanted. */
  readonly sequences?: readonly (readonly number[])[];
  /** Prompts to go on from greedily. */
  readonly prompts?: readonly (readonly number[])[];
  readonly maxTokens?: number;
}

export interface Answer {
  readonly tokens: number[][];
  /** For each sequence, the log-probability in nats of every token but the first, given those before it. */
  readonly logProbs: number[][];
  /** New tokens, the end token included where it came. */
  readonly continuations: number[][];
  /** Each continuation as text. */
  readonly texts: string[];
}

/** What is used of node-llama-cpp, which is not installed where types are checked. */
interface Bindings {
  getLlama: (options: object) => Promise<{
    loadModel(options: { modelPath: string; useMmap?: boolean }): Promise<Model>;
    dispose(): Promise<void>;
  }>;
}
interface Model {
  tokenize(text: string, specialTokens: boolean): number[];
  detokenize(tokens: readonly number[], specialTokens: boolean): string;
  isEogToken(token: number): boolean;
  createContext(options: object): Promise<{ getSequence(): Sequence }>;
}
type Step = number | [token: number, options: { generateNext: { logits: true } }];
interface Sequence {
  clearHistory(): Promise<void>;
  controlledEvaluate(steps: Step[]): Promise<(undefined | { next: { logits: Map<number, number> } })[]>;
}

async function answer({
  model: modelPath,
  adapter,
  texts = [],
  sequences = [],
  prompts = [],
  maxTokens = 0,
}: Request): Promise<Answer> {
  const library = 'node-llama-cpp';
  const { getLlama } = (await import(library)) as Bindings;
  const llama = await getLlama({ build: 'never', gpu: false, logLevel: 'error' });
  const model = await llama.loadModel({ modelPath });
  const context = await model.createContext({
    contextSize: 512,
    threads: 1,
    // Both of its kinds of attention go through float16 unless told otherwise, which alone moves log-probabilities of
    // small random models by up to 0.008 nats.
    flashAttention: false,
    experimentalKvCacheKeyType: 'F32',
    experimentalKvCacheValueType: 'F32',
    ...(adapter === undefined ? {} : { lora: adapter }),
  });
  const sequence = context.getSequence();

  const logitsAfter = async (tokens: readonly number[]): Promise<Map<number, number>[]> => {
    const steps = tokens.map((token): Step => [token, { generateNext: { logits: true } }]);
    return (await sequence.controlledEvaluate(steps)).map((output) => output!.next.logits);
  };
  const logProbs: number[][] = [];
  for (const tokens of sequences) {
    await sequence.clearHistory();
    const logits = await logitsAfter(tokens);
    logProbs.push(tokens.slice(1).map((token, i) => logProbability(logits[i]!, token)));
  }
  const continuations: number[][] = [];
  for (const prompt of prompts) {
    await sequence.clearHistory();
    const made: number[] = [];
    let next = likeliest((await logitsAfter(prompt)).at(-1)!);
    while (made.push(next) < maxTokens && !model.isEogToken(next)) next = likeliest((await logitsAfter([next]))[0]!);
    continuations.push(made);
  }
  return {
    tokens: texts.map((text) => [...model.tokenize(text, true)]),
    logProbs,
    continuations,
    texts: continuations.map((tokens) => model.detokenize(tokens, false)),
  };
}

/** log softmax in float64. */
function logProbability(logits: ReadonlyMap<number, number>, token: number): number {
  const highest = Math.max(...logits.values());
  let sum = 0;
  for (const value of logits.values()) sum += Math.exp(value - highest);
  return logits.get(token)! - highest - Math.log(sum);
}

function likeliest(logits: ReadonlyMap<number, number>): number {
  let best: readonly [number, number] = [-1, -Infinity];
  for (const entry of logits) if (entry[1] > best[1]) best = entry;
  return best[0];
}

if (import.meta.main) {
  const request = JSON.parse(await text(process.stdin)) as Request;
  process.stdout.write(JSON.stringify(await answer(request)), () => process.exit(0));
}
