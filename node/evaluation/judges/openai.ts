/**
 * A judge behind any OpenAI-compatible chat endpoint.
 *
 * What leaves this machine is one prompt and two answers at a time, nothing else: use it only with prompts that are
 * public. A reply that is not exactly a verdict is asked for again and then an error; it is never guessed at.
 *
 * Source of the wire format: OpenAI API reference, "Create chat completion".
 */
import { setTimeout as wait } from 'node:timers/promises';
import { z } from 'zod';
import { PrefmeshError } from '../../../protocol/errors.ts';
import { LIMITS } from '../../../protocol/limits.ts';
import type { Judge, JudgeOptions, Verdict } from './judge.ts';

export interface OpenAiJudgeOptions {
  /** Up to and with the version, such as `http://127.0.0.1:8000/v1`. */
  readonly baseUrl: string;
  readonly model: string;
  /** Sent as a bearer token; no authorisation header when absent. */
  readonly key?: string;
  /** How long one attempt may take, in ms. */
  readonly timeout?: number;
  /** How often one verdict is asked for at most. */
  readonly attempts?: number;
  /** Waits between attempts; the process timer when absent. */
  readonly pause?: (ms: number, signal: AbortSignal | undefined) => Promise<void>;
}

const FIRST_PAUSE_MS = 500;

const INSTRUCTION =
  'You compare two answers to the same question. Judge which one serves the person who asked better: correct, to ' +
  'the point, in a fitting style. Length alone is no merit, and the order of the answers means nothing. ' +
  'Reply with exactly one word: A, B or TIE.';

const replySchema = z.object({
  choices: z.array(z.object({ message: z.object({ content: z.string() }) })).min(1),
});

/** An attempt that failed in a way the next one may not. */
interface Setback {
  readonly error: PrefmeshError;
  /** How long the server asked to be left alone, in ms. */
  readonly retryAfter?: number;
}

export class OpenAiJudge implements Judge {
  readonly name: string;
  readonly description: string;
  readonly #url: string;
  readonly #model: string;
  readonly #key: string | undefined;
  readonly #timeout: number;
  readonly #attempts: number;
  readonly #pause: NonNullable<OpenAiJudgeOptions['pause']>;

  constructor(options: OpenAiJudgeOptions) {
    this.#url = `${options.baseUrl.replace(/\/+$/, '')}/chat/completions`;
    this.#model = options.model;
    this.#key = options.key;
    this.#timeout = options.timeout ?? LIMITS.judgeTimeout.value;
    this.#attempts = options.attempts ?? LIMITS.judgeAttempts.value;
    this.#pause = options.pause ?? ((ms, signal) => wait(ms, undefined, signal === undefined ? {} : { signal }));
    this.name = `openai:${options.model}`;
    this.description =
      `the language model ${options.model} at ${options.baseUrl}, asked in both orders which answer serves better; ` +
      'it receives the evaluation prompts and the two answers to each, and nothing else';
  }

  /** @throws JUDGE_UNREACHABLE, JUDGE_REFUSED, JUDGE_ANSWER_UNUSABLE */
  async compare(prompt: string, first: string, second: string, { signal }: JudgeOptions = {}): Promise<Verdict> {
    const question = `Question:\n${prompt}\n\nAnswer A:\n${first}\n\nAnswer B:\n${second}\n\nWhich is better, A, B or TIE?`;
    for (let attempt = 1; ; attempt++) {
      const outcome = await this.#ask(question, signal);
      if (typeof outcome === 'string') return outcome;
      if (attempt === this.#attempts) throw outcome.error;
      const pause = Math.max(FIRST_PAUSE_MS * 2 ** (attempt - 1), outcome.retryAfter ?? 0);
      await this.#pause(Math.min(pause, LIMITS.judgeRetryWait.value), signal);
    }
  }

  async #ask(question: string, signal: AbortSignal | undefined): Promise<Verdict | Setback> {
    const deadline = AbortSignal.timeout(this.#timeout);
    let response: Response;
    let body: string;
    try {
      response = await fetch(this.#url, {
        method: 'POST',
        // A redirect would carry key and texts to a place the user did not name.
        redirect: 'error',
        headers: {
          'content-type': 'application/json',
          ...(this.#key === undefined ? {} : { authorization: `Bearer ${this.#key}` }),
        },
        body: JSON.stringify({
          model: this.#model,
          temperature: 0,
          messages: [
            { role: 'system', content: INSTRUCTION },
            { role: 'user', content: question },
          ],
        }),
        signal: signal === undefined ? deadline : AbortSignal.any([signal, deadline]),
      });
      body = await readBounded(response);
    } catch (cause) {
      if (signal?.aborted) throw cause;
      const problem = deadline.aborted ? `no answer within ${this.#timeout} ms` : reasonOf(cause);
      return { error: new PrefmeshError('JUDGE_UNREACHABLE', { url: this.#url, problem }, { cause }) };
    }
    const { status } = response;
    if (status === 408 || status === 429 || status >= 500) {
      const error = new PrefmeshError('JUDGE_UNREACHABLE', { url: this.#url, problem: `HTTP status ${status}` });
      return { error, ...retryAfter(response) };
    }
    if (!response.ok) throw new PrefmeshError('JUDGE_REFUSED', { url: this.#url, status });
    return this.#verdictOf(body);
  }

  #verdictOf(body: string): Verdict | Setback {
    const unusable = (problem: string) => ({
      error: new PrefmeshError('JUDGE_ANSWER_UNUSABLE', { url: this.#url, problem }),
    });
    let json: unknown;
    try {
      json = JSON.parse(body);
    } catch {
      return unusable('the body is not JSON of at most 1 MiB');
    }
    const reply = replySchema.safeParse(json);
    if (!reply.success) return unusable('the body is no chat completion');
    switch (reply.data.choices[0]?.message.content.trim().toUpperCase()) {
      case 'A':
        return 'first';
      case 'B':
        return 'second';
      case 'TIE':
        return 'tie';
      default:
        return unusable('the reply is not A, B or TIE');
    }
  }
}

/** The body as text, cut at the limit, where it stops being JSON. */
async function readBounded(response: Response): Promise<string> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of response.body ?? []) {
    bytes += part.byteLength;
    if (bytes > LIMITS.judgeAnswer.value) break;
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}

/** `Retry-After` in seconds; its date form is not honoured, the pause then grows by itself. */
function retryAfter(response: Response): { retryAfter?: number } {
  const seconds = Number(response.headers.get('retry-after') ?? Number.NaN);
  return Number.isFinite(seconds) ? { retryAfter: seconds * 1000 } : {};
}

/** What the network said, which `fetch` hides in the cause of its "fetch failed". */
function reasonOf(error: unknown): string {
  const inner = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  if (!(inner instanceof Error)) return String(inner);
  return (inner as NodeJS.ErrnoException).code ?? inner.message;
}
