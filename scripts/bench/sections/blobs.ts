/**
 * How fast a blob moves between two processes over loopback, encryption, hash and disk included; and what 20 cuts at
 * random bytes cost. The floor is what the receiving side does with the bytes anyway: hash them and write them.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempDisposable, open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { pino } from 'pino';
import { BlobClient } from '../../../node/network/blob/client.ts';
import { Host } from '../../../node/network/host.ts';
import { BlobStore } from '../../../node/storage/blobs.ts';
import { RandomStream } from '../../../node/training/randomStream.ts';
import { identityFromSeed } from '../../../protocol/identity.ts';
import type { Sha256 } from '../../../protocol/names.ts';
import type { BenchSettings, SectionResult } from '../section.ts';
import { show, spreadOf } from '../statistics.ts';

const SERVER = fileURLToPath(new URL('../blobServer.ts', import.meta.url));
const BYTES = 100_000_000;
const CUTS = 20;
const MiB = 2 ** 20;

export async function blobsSection({ runs, say }: BenchSettings): Promise<SectionResult[]> {
  await using folder = await mkdtempDisposable(join(tmpdir(), 'prefmesh-bench-'));
  const source = await BlobStore.open(join(folder.path, 'source'));
  const bytes = randomBytes(BYTES);
  const hash = await source.put(bytes);
  const rates = { protocol: [] as number[], floor: [] as number[] };
  {
    await using server = await Served.start(source.folder, []);
    const fetched = await Fetching.start(join(folder.path, 'fetched'), server.address);
    await using _host = fetched.host;
    for (let run = -1; run < runs; run++) {
      const [protocol, floor] = [await fetched.run(hash), await hashAndWrite(join(folder.path, 'floor'), bytes)];
      if (run < 0) continue;
      rates.protocol.push(BYTES / MiB / protocol.seconds);
      rates.floor.push(BYTES / MiB / floor);
      say(`run ${run + 1}/${runs}  ${(BYTES / MiB / protocol.seconds).toFixed(0)} MiB/s`);
    }
  }

  const seconds: number[] = [];
  const ratios: number[] = [];
  for (let run = 0; run < runs; run++) {
    const random = new RandomStream(`cuts ${run}`);
    // Parts of random length, so that the last cut comes before the end even if nothing is sent twice.
    const after = Array.from({ length: CUTS }, () =>
      Math.min(BYTES / CUTS, Math.ceil((2 * random.uniform() * BYTES) / (CUTS + 1))),
    );
    await using server = await Served.start(source.folder, after);
    const fetched = await Fetching.start(join(folder.path, 'resumed'), server.address);
    await using _host = fetched.host;
    seconds.push((await fetched.run(hash)).seconds);
    const { cuts, sent } = await server.counted();
    ratios.push(sent / BYTES);
    say(`run ${run + 1}/${runs}  ${cuts} cuts, ${(sent / BYTES).toFixed(3)} times the blob sent`);
  }
  return [
    {
      title: `A blob of ${BYTES / 1e6} MB between two processes over loopback`,
      columns: ['what', 'MiB/s'],
      rows: [
        ['blob protocol: noise, hash, disk', show(spreadOf(rates.protocol))],
        ['hash and disk alone', show(spreadOf(rates.floor))],
      ],
      notes: [],
    },
    {
      title: `The same, cut ${CUTS} times at random bytes`,
      columns: ['s', 'bytes sent, times the blob'],
      rows: [[show(spreadOf(seconds)), show(spreadOf(ratios))]],
      notes: ['Every one arrived with the right hash.'],
    },
  ];
}

/** A process that serves the blobs of a folder. */
class Served implements AsyncDisposable {
  readonly address: string;
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  private constructor(child: ChildProcess, lines: AsyncIterator<string>, address: string) {
    this.#child = child;
    this.#lines = lines;
    this.address = address;
  }

  static async start(folder: string, after: readonly number[]): Promise<Served> {
    const child = spawn(process.execPath, [SERVER, folder, ...after.map(String)], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const reader: Interface = createInterface(child.stdout);
    const lines = reader[Symbol.asyncIterator]();
    const { address } = (await said(lines)) as { address: string };
    return new Served(child, lines, address);
  }

  async counted(): Promise<{ cuts: number; sent: number }> {
    this.#child.stdin!.write('count\n');
    return (await said(this.#lines)) as { cuts: number; sent: number };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = once(this.#child, 'exit');
    this.#child.stdin!.end();
    await ended;
  }
}

async function said(lines: AsyncIterator<string>): Promise<unknown> {
  const { value, done } = await lines.next();
  if (done) throw new Error('the serving process has ended');
  return JSON.parse(value as string);
}

/** A node that fetches into an empty store, again and again. */
class Fetching {
  readonly host: Host;
  readonly #store: BlobStore;
  readonly #address: string;

  private constructor(host: Host, store: BlobStore, address: string) {
    this.host = host;
    this.#store = store;
    this.#address = address;
  }

  static async start(folder: string, address: string): Promise<Fetching> {
    const init = { preset: 'local', role: 'participant', listen: [], log: pino({ level: 'silent' }) } as const;
    const host = await Host.start(identityFromSeed(randomBytes(32)), init);
    await host.connect(address);
    return new Fetching(host, await BlobStore.open(folder), address);
  }

  async run(hash: Sha256): Promise<{ seconds: number }> {
    await this.#store.delete(hash);
    const started = performance.now();
    await new BlobClient({ host: this.host, store: this.#store }).fetch(hash, { from: [this.#address] });
    const seconds = (performance.now() - started) / 1000;
    await this.#store.verify(hash);
    return { seconds };
  }
}

/** Seconds to hash bytes chunk by chunk and to have them on disk. */
async function hashAndWrite(file: string, bytes: Uint8Array): Promise<number> {
  const started = performance.now();
  const digest = createHash('sha256');
  await using handle = await open(file, 'w');
  for (let at = 0; at < bytes.length; at += MiB) {
    const part = bytes.subarray(at, at + MiB);
    await handle.write(part);
    digest.update(part);
  }
  digest.digest();
  await handle.sync();
  return (performance.now() - started) / 1000;
}
