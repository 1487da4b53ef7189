/**
 * One way to ask a model hub for something: with the token where it belongs, within bounds, and again after a failure
 * that may pass.
 *
 * The token goes to the hub's own origin and nowhere else: file contents come from other hosts, to which a redirect
 * with a signed address leads. Redirects are therefore followed here, one by one.
 */
import { setTimeout as wait } from 'node:timers/promises';
import { isPrefmeshError, PrefmeshError } from '../../../protocol/errors.ts';
import { LIMITS } from '../../../protocol/limits.ts';
import { refusalOf, reasonOf } from './refusal.ts';

export const DEFAULT_ENDPOINT = 'https://huggingface.co';

export interface HubConnectionOptions {
  /** Address of the hub, without a trailing slash. */
  readonly endpoint?: string;
  /** Access token; sent to the hub's origin only, never shown. */
  readonly token?: string;
  /** Waits between attempts; the process timer when absent. */
  readonly pause?: (ms: number, signal: AbortSignal | undefined) => Promise<void>;
  readonly signal?: AbortSignal;
}

/** What an answer is about, for the error that a refusal becomes. */
export interface Subject {
  readonly model: string;
  readonly revision: string;
  readonly file?: string;
}

/** An answer whose body is still on its way. The headers are those of the hub where a redirect led elsewhere. */
export interface OpenAnswer {
  readonly status: number;
  readonly headers: Headers;
  /** The headers of the hub's own answer, before any redirect. */
  readonly hubHeaders: Headers;
  /** The bytes as they come. @throws Setback when the other side stops half way */
  readonly body: AsyncIterable<Uint8Array>;
}

/** A failure that the next attempt may not meet. */
class Setback extends Error {
  readonly error: PrefmeshError;
  /** How long the server asked to be left alone, in ms. */
  readonly retryAfter: number;

  constructor(error: PrefmeshError, retryAfter = 0) {
    super(error.message, { cause: error });
    this.error = error;
    this.retryAfter = retryAfter;
  }
}

export class HubConnection {
  readonly endpoint: string;
  readonly signal: AbortSignal | undefined;
  readonly #origin: string;
  readonly #token: string | undefined;
  readonly #pause: NonNullable<HubConnectionOptions['pause']>;

  /** @throws USAGE for an address that is none, and for a token that would travel unencrypted */
  constructor(options: HubConnectionOptions = {}) {
    const endpoint = (options.endpoint ?? DEFAULT_ENDPOINT).replace(/\/+$/, '');
    const url = URL.canParse(endpoint) ? new URL(endpoint) : undefined;
    if (url === undefined || !/^https?:$/.test(url.protocol) || url.username !== '' || url.search !== '') {
      const problem = 'the address of the hub is no http or https address';
      throw new PrefmeshError('USAGE', { problem, hint: `pass --endpoint or HF_ENDPOINT like ${DEFAULT_ENDPOINT}` });
    }
    if (options.token !== undefined && url.protocol === 'http:' && !isLoopback(url.hostname)) {
      const problem = `the token would travel unencrypted to ${endpoint}`;
      throw new PrefmeshError('USAGE', {
        problem,
        hint: 'use an https address, or go without HF_TOKEN and --token-file',
      });
    }
    this.endpoint = endpoint;
    this.signal = options.signal;
    this.#origin = url.origin;
    this.#token = options.token;
    this.#pause = options.pause ?? ((ms, signal) => wait(ms, undefined, signal === undefined ? {} : { signal }));
  }

  /**
   * The library's `fetch`: the whole answer within its bound, asked for again after setbacks.
   *
   * @throws HUB_UNREACHABLE, HUB_BUSY, HUB_ANSWER_UNUSABLE, and what a refusal says (see `refusalOf`)
   */
  fetchFor(subject: Subject): typeof fetch {
    return async (input) => {
      const url = new URL(input instanceof Request ? input.url : input);
      if (url.origin !== this.#origin) throw this.#unusable(`it names another host, ${url.host}, for its own answers`);
      const { body, headers } = await this.persist(async () => {
        const answer = await this.open(url, subject, { accept: 'application/json' });
        return { body: await this.#readBounded(answer.body), headers: answer.headers };
      });
      checkJson(body, (problem, cause) => this.#unusable(problem, cause));
      return new Response(body, { headers });
    };
  }

  /** Does `work` until it succeeds. Setbacks in a row are counted from the last one before which `moved()` grew. */
  async persist<T>(work: () => Promise<T>, moved: () => number = () => 0): Promise<T> {
    let before = moved();
    for (let attempt = 1; ; attempt++) {
      try {
        return await work();
      } catch (error) {
        if (!(error instanceof Setback)) throw error;
        if (moved() > before) attempt = 1;
        before = moved();
        const longest = LIMITS.hubRetryLongest.value;
        if (attempt === LIMITS.hubAttempts.value || error.retryAfter > longest) throw error.error;
        const growing = LIMITS.hubRetryFirst.value * 2 ** (attempt - 1);
        await this.#pause(Math.min(Math.max(growing, error.retryAfter), longest), this.signal);
      }
    }
  }

  /** One attempt, redirects followed. @throws Setback, or the error of a refusal that stays */
  async open(url: URL, subject: Subject, headers: Readonly<Record<string, string>>): Promise<OpenAnswer> {
    const stalled = new AbortController();
    const stallTimer = setTimeout(() => stalled.abort(new Error('no answer in time')), LIMITS.hubStall.value).unref();
    const signal = this.signal === undefined ? stalled.signal : AbortSignal.any([this.signal, stalled.signal]);
    let hubHeaders: Headers | undefined;
    try {
      for (let hop = 0; hop <= LIMITS.hubRedirects.value; hop++) {
        const response = await this.#send(url, headers, signal);
        hubHeaders ??= response.headers;
        const location = response.headers.get('location');
        if (response.status >= 300 && response.status < 400 && response.status !== 304 && location !== null) {
          await response.body?.cancel();
          url = this.#redirected(url, location);
          continue;
        }
        if (!response.ok) throw await this.#refused(response, url, subject);
        const body = this.#bytes(response, stallTimer);
        return { status: response.status, headers: response.headers, hubHeaders, body };
      }
      throw this.#unusable(`it redirects more than ${LIMITS.hubRedirects.value} times`);
    } catch (error) {
      clearTimeout(stallTimer);
      throw error;
    }
  }

  async #send(url: URL, headers: Readonly<Record<string, string>>, signal: AbortSignal): Promise<Response> {
    const token = url.origin === this.#origin ? this.#token : undefined;
    try {
      return await fetch(url.href, {
        redirect: 'manual',
        headers: { ...headers, ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) },
        signal,
      });
    } catch (cause) {
      throw this.#cut(cause);
    }
  }

  /** Where a redirect leads; a way from an encrypted address to a plain one is not gone. */
  #redirected(from: URL, location: string): URL {
    const to = URL.canParse(location, from.href) ? new URL(location, from.href) : undefined;
    if (
      to === undefined ||
      !/^https?:$/.test(to.protocol) ||
      (from.protocol === 'https:' && to.protocol !== 'https:')
    ) {
      throw this.#unusable('it redirects to an address that is not encrypted, or to none');
    }
    return to;
  }

  async #refused(response: Response, url: URL, subject: Subject): Promise<Error> {
    const text = new TextDecoder().decode(await this.#readStart(response));
    const { status } = response;
    const atHub = url.origin === this.#origin;
    // A signed address that has run out is refused by its host; the hub gives a fresh one.
    const passing = status === 408 || status === 429 || status >= 500 || (!atHub && (status === 401 || status === 403));
    if (!passing) return refusalOf(response, text, { ...subject, endpoint: this.endpoint, token: this.#token });
    const retryAfter = secondsToWait(response) * 1000;
    const waiting = retryAfter > 0 ? `${Math.ceil(retryAfter / 1000)} s` : 'a while';
    const host = atHub ? this.endpoint : url.origin;
    return new Setback(new PrefmeshError('HUB_BUSY', { endpoint: host, status, waiting }), retryAfter);
  }

  async *#bytes(response: Response, stallTimer: NodeJS.Timeout): AsyncGenerator<Uint8Array> {
    try {
      for await (const part of response.body ?? []) {
        stallTimer.refresh();
        yield part;
      }
    } catch (cause) {
      if (isPrefmeshError(cause)) throw cause;
      throw this.#cut(cause);
    } finally {
      clearTimeout(stallTimer);
    }
  }

  #cut(cause: unknown): unknown {
    if (this.signal?.aborted) return this.signal.reason;
    const details = { endpoint: this.endpoint, problem: reasonOf(cause) };
    return new Setback(new PrefmeshError('HUB_UNREACHABLE', details, { cause }));
  }

  async #readBounded(body: AsyncIterable<Uint8Array>): Promise<Uint8Array<ArrayBuffer>> {
    const parts: Uint8Array[] = [];
    let bytes = 0;
    for await (const part of body) {
      bytes += part.byteLength;
      if (bytes > LIMITS.hubAnswer.value)
        throw this.#unusable(`an answer is longer than ${LIMITS.hubAnswer.value} bytes`);
      parts.push(part);
    }
    return Buffer.concat(parts);
  }

  /** The beginning of a refusal's text, enough to tell refusals apart. */
  async #readStart(response: Response): Promise<Uint8Array> {
    const parts: Uint8Array[] = [];
    let bytes = 0;
    try {
      for await (const part of response.body ?? []) {
        parts.push(part);
        bytes += part.byteLength;
        if (bytes > LIMITS.hubRefusal.value) break;
      }
    } catch {
      // The status says enough; a refusal that is cut short is still one.
    }
    return Buffer.concat(parts);
  }

  #unusable(problem: string, cause?: unknown): PrefmeshError {
    return new PrefmeshError('HUB_ANSWER_UNUSABLE', { endpoint: this.endpoint, problem }, { cause });
  }
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(host);
}

function checkJson(body: Uint8Array, unusable: (problem: string, cause?: unknown) => PrefmeshError): void {
  try {
    JSON.parse(new TextDecoder().decode(body));
  } catch (cause) {
    throw unusable('an answer is not JSON', cause);
  }
}

/** `Retry-After` in seconds; its date form counts from now. */
function secondsToWait(response: Response): number {
  const text = response.headers.get('retry-after') ?? '';
  if (/^\d+$/.test(text)) return Number(text);
  const date = Date.parse(text);
  return Number.isNaN(date) ? 0 : Math.max(0, (date - Date.now()) / 1000);
}
