/**
 * A model hub on this machine that behaves as the real one does: a JSON API at one address, file contents at another
 * to which a signed address leads, hashes in headers, reasons of refusals in headers. And one that misbehaves on
 * request: cuts connections, ignores ranges, serves other bytes, lists strange names.
 *
 * Source of the behaviour: the Hub's API documentation and the client library's own use of it.
 */
import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface HubServerOptions {
  /** Files of the repository by name. */
  readonly files: Readonly<Record<string, Uint8Array>>;
  readonly id?: string;
  readonly cardData?: Record<string, unknown>;
}

export interface SeenRequest {
  readonly host: 'hub' | 'storage';
  readonly path: string;
  readonly range: string | undefined;
  readonly authorization: string | undefined;
}

interface ListedEntry {
  readonly type: string;
  readonly path: string;
  readonly size: number;
  readonly oid: string;
  readonly lfs?: { readonly oid: string; readonly size: number; readonly pointerSize: number };
}

/** Files from this size on are stored as large files. */
const LARGE = 4096;
const PAGE = 5;

export class HubServer implements AsyncDisposable {
  readonly id: string;
  /** Where the API is. */
  endpoint = '';
  /** Where large files come from. */
  storage = '';
  readonly requests: SeenRequest[] = [];
  /** Bytes of file contents that were sent. */
  sent = 0;
  files: Map<string, Uint8Array>;
  cardData: Record<string, unknown>;
  /** What the list of files says, if not the truth. */
  listed: ((entries: ListedEntry[]) => unknown) | undefined;
  /** Answers in its own way instead; true when it did. */
  intercept: ((request: IncomingMessage, response: ServerResponse, host: 'hub' | 'storage') => boolean) | undefined;
  /**
   * How many more contents are cut after this many bytes. A client may drop what it has not looked at when a
   * connection ends, so the end waits until it has `length` bytes in all.
   */
  cuts: { after: number; times: number; arrived: (length: number) => Promise<void> } | undefined;
  ignoresRanges = false;
  gated: false | 'auto' | 'manual' = false;
  isPrivate = false;
  /** The token that opens gated and private repositories. */
  readonly token = 'hf_aTokenOfThisTest';
  #branches = new Map([['main', commitOf('first')]]);
  readonly #hub: Server;
  readonly #storage: Server;

  private constructor({ files, id = 'maker/tiny', cardData = { license: 'apache-2.0' } }: HubServerOptions) {
    this.id = id;
    this.files = new Map(Object.entries(files));
    this.cardData = cardData;
    this.#hub = createServer((request, response) => this.#answer('hub', request, response));
    this.#storage = createServer((request, response) => this.#answer('storage', request, response));
  }

  static async start(options: HubServerOptions): Promise<HubServer> {
    const server = new HubServer(options);
    for (const one of [server.#hub, server.#storage]) {
      await new Promise<void>((resolve) => one.listen(0, '127.0.0.1', () => resolve()));
    }
    server.endpoint = `http://127.0.0.1:${portOf(server.#hub)}`;
    server.storage = `http://127.0.0.1:${portOf(server.#storage)}`;
    return server;
  }

  get commit(): string {
    return this.#branches.get('main')!;
  }

  /** Moves the main branch on, with other files. */
  publish(name: string, files: Readonly<Record<string, Uint8Array>>): void {
    this.#branches.set('main', commitOf(name));
    this.files = new Map(Object.entries(files));
  }

  /** Requests for the content of a file, at the host that sends it. */
  transfersOf(name: string): SeenRequest[] {
    return this.requests.filter(({ host, path }) => host === 'storage' && path.startsWith(`/content/${name}?`));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const one of [this.#hub, this.#storage]) {
      one.closeAllConnections();
      await new Promise<void>((resolve) => one.close(() => resolve()));
    }
  }

  #answer(host: 'hub' | 'storage', request: IncomingMessage, response: ServerResponse): void {
    const { authorization, range } = request.headers;
    const path = request.url ?? '/';
    this.requests.push({ host, path, range, authorization });
    if (this.intercept?.(request, response, host) === true) return;
    if (host === 'storage') return this.#sendContent(path, range, response);
    const opened = authorization === `Bearer ${this.token}`;
    if (authorization !== undefined && !opened) return refuse(response, 401, undefined, 'Invalid credentials');
    const { pathname } = new URL(path, this.endpoint);
    const named = pathname.startsWith(`/api/models/${this.id}/`) || pathname.startsWith(`/${this.id}/`);
    if (!named || (this.isPrivate && !opened)) return refuse(response, 401, 'RepoNotFound', 'Repository not found');

    const [, kind, rest] = /\/(revision|tree|resolve)\/(.+)$/.exec(pathname) ?? [];
    const [revision, ...name] = decodeURIComponent(rest ?? '').split('/');
    const commit = this.#branches.get(revision ?? '') ?? [...this.#branches.values()].find((one) => one === revision);
    if (commit === undefined) return refuse(response, 404, 'RevisionNotFound', `Invalid rev id: ${revision}`);
    if (kind === 'revision') return sendJson(response, this.#description(commit));
    if (kind === 'tree') return this.#sendTree(path, response);
    if (this.gated && !opened) return refuse(response, 401, 'GatedRepo', `Access to model ${this.id} is restricted`);
    this.#resolve(name.join('/'), commit, range, response);
  }

  #description(commit: string): unknown {
    const { id, gated, cardData } = this;
    const fixed = { downloads: 1, likes: 1, lastModified: '2026-01-01T00:00:00.000Z', pipeline_tag: 'text-generation' };
    return { _id: '65a', id, sha: commit, private: this.isPrivate, gated, cardData, ...fixed };
  }

  #sendTree(path: string, response: ServerResponse): void {
    const entries = [...this.files].map(([name, bytes]) => entryOf(name, bytes));
    entries.push({ type: 'directory', path: 'onnx', size: 0, oid: commitOf('folder') });
    const listed = this.listed?.(entries) ?? entries;
    if (!Array.isArray(listed)) return sendJson(response, listed);
    const url = new URL(path, this.endpoint);
    const from = Number(url.searchParams.get('cursor') ?? 0);
    if (from + PAGE < listed.length) {
      url.searchParams.set('cursor', String(from + PAGE));
      response.setHeader('link', `<${url.href}>; rel="next"`);
    }
    sendJson(response, listed.slice(from, from + PAGE));
  }

  /** Small files come from the hub itself; large ones by a redirect to a signed address elsewhere. */
  #resolve(name: string, commit: string, range: string | undefined, response: ServerResponse): void {
    const bytes = this.files.get(name);
    if (bytes === undefined) return refuse(response, 404, 'EntryNotFound', 'Entry not found');
    const { oid, lfs } = entryOf(name, bytes);
    response.setHeader('x-repo-commit', commit);
    if (lfs === undefined) {
      response.setHeader('etag', `"${oid}"`);
      return this.#sendBytes(bytes, range, response);
    }
    response.setHeader('x-linked-size', lfs.size);
    response.setHeader('x-linked-etag', `"${lfs.oid}"`);
    response.setHeader('accept-ranges', 'bytes');
    const signature = commitOf(name + commit).slice(0, 12);
    response.setHeader('location', `${this.storage}/content/${name}?signature=${signature}`);
    response.writeHead(302).end();
  }

  #sendContent(path: string, range: string | undefined, response: ServerResponse): void {
    const url = new URL(path, this.endpoint);
    const bytes = this.files.get(url.pathname.slice('/content/'.length));
    if (bytes === undefined || !url.searchParams.has('signature')) return refuse(response, 403, undefined, 'denied');
    this.#sendBytes(bytes, range, response);
  }

  #sendBytes(bytes: Uint8Array, range: string | undefined, response: ServerResponse): void {
    const from = this.ignoresRanges ? 0 : Number(/^bytes=(\d+)-$/.exec(range ?? '')?.[1] ?? 0);
    const rest = bytes.subarray(from);
    response.setHeader('content-length', rest.length);
    if (range !== undefined && !this.ignoresRanges) {
      response.setHeader('content-range', `bytes ${from}-${bytes.length - 1}/${bytes.length}`);
      response.writeHead(206);
    }
    if (this.cuts !== undefined && this.cuts.times > 0 && rest.length > this.cuts.after) {
      this.cuts.times--;
      const { after, arrived } = this.cuts;
      this.sent += after;
      response.write(rest.subarray(0, after));
      void arrived(from + after).then(() => response.destroy());
      return;
    }
    this.sent += rest.length;
    response.end(rest);
  }
}

function entryOf(path: string, bytes: Uint8Array): ListedEntry {
  const oid = createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex');
  const entry = { type: 'file', path, size: bytes.length, oid };
  if (bytes.length < LARGE) return entry;
  const lfs = { oid: createHash('sha256').update(bytes).digest('hex'), size: bytes.length, pointerSize: 130 };
  return { ...entry, lfs };
}

function commitOf(name: string): string {
  return createHash('sha1').update(name).digest('hex');
}

function portOf(server: Server): number {
  return (server.address() as AddressInfo).port;
}

function sendJson(response: ServerResponse, value: unknown): void {
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify(value));
}

export function refuse(response: ServerResponse, status: number, code: string | undefined, message: string): void {
  if (code !== undefined) response.setHeader('x-error-code', code);
  response.setHeader('x-error-message', message);
  response.setHeader('content-type', 'application/json');
  response.writeHead(status).end(JSON.stringify({ error: message }));
}
