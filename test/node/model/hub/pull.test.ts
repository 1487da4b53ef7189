import assert from 'node:assert/strict';
import { lstat, mkdir, readFile, readdir, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openCheckpoint } from '../../../../node/model/checkpoint.ts';
import { pullModel, type PulledModel, type PullOptions } from '../../../../node/model/hub/pull.ts';
import { LIMITS } from '../../../../protocol/limits.ts';
import { isPrefmeshError, type PrefmeshError } from '../../../../protocol/errors.ts';
import { scratchFolder } from '../../storage/scratch.ts';
import { HubServer, refuse } from './hubServer.ts';
import { oracleFiles, partArrived, WEIGHTS } from './repositoryFiles.ts';

/** A hub with the oracle's tiny model, an empty data folder, and a pull that does not wait between attempts. */
async function start(changes: Record<string, Uint8Array> = {}) {
  const scratch = await scratchFolder();
  const server = await HubServer.start({ files: { ...oracleFiles(), ...changes } });
  const pauses: number[] = [];
  const pull = (options: Partial<PullOptions> = {}, id = server.id): Promise<PulledModel> =>
    pullModel(id, {
      home: scratch.path,
      endpoint: server.endpoint,
      pause: async (ms) => void pauses.push(ms),
      ...options,
    });
  const refusal = async (options: Partial<PullOptions> = {}, id = server.id): Promise<PrefmeshError> => {
    const failure: unknown = await pull(options, id).then(
      () => assert.fail('the pull succeeded'),
      (error: unknown) => error,
    );
    if (!isPrefmeshError(failure)) throw failure;
    return failure;
  };
  const folder = join(scratch.path, 'models', ...server.id.split('/'));
  const dispose = async () => {
    await server[Symbol.asyncDispose]();
    await scratch[Symbol.asyncDispose]();
  };
  const cut = (after: number, times: number) => {
    server.cuts = { after, times, arrived: (length) => partArrived(scratch.path, server.id, length) };
  };
  return { home: scratch.path, server, cut, pull, refusal, pauses, folder, [Symbol.asyncDispose]: dispose };
}

const missing = (path: string) =>
  stat(path).then(
    () => false,
    () => true,
  );

describe('a pull', () => {
  it('brings the files that a model needs and no other, opens it under its id, and records where it is from', async () => {
    await using hub = await start();
    const announced: unknown[] = [];
    const pulled = await hub.pull({ onModel: ({ licence, gated }) => announced.push(licence, gated) });
    assert.deepEqual(
      (await readdir(hub.folder)).sort(),
      ['.prefmesh-hub.json', 'README.md', 'config.json', WEIGHTS, 'tokenizer.json', 'tokenizer_config.json'].sort(),
    );
    const { hash } = await openCheckpoint(hub.server.id, { home: hub.home });
    assert.equal(hash, (await openCheckpoint('test/oracle/llama/model')).hash);
    assert.deepEqual([pulled.sha256, pulled.upToDate, pulled.received], [hash, false, pulled.bytes]);
    assert.deepEqual(announced, [{ id: 'apache-2.0', link: null }, false]);
    const record = JSON.parse(await readFile(join(hub.folder, '.prefmesh-hub.json'), 'utf8'));
    assert.deepEqual(
      [record.model, record.revision, record.commit, record.licence.id],
      [hub.server.id, 'main', hub.server.commit, 'apache-2.0'],
    );
    assert.ok(hub.server.requests.every(({ path }) => !path.includes('pytorch_model.bin')));
  });

  it('does nothing the second time, and sees that a file was touched', async () => {
    await using hub = await start();
    await hub.pull();
    const { sent } = hub.server;
    const second = await hub.pull();
    assert.deepEqual([second.upToDate, second.received, hub.server.sent], [true, 0, sent]);
    const config = join(hub.folder, 'config.json');
    const text = await readFile(config);
    await writeFile(config, text.toString().replace('"hidden_size": 32', '"hidden_size": 33'));
    const mended = await hub.pull();
    assert.deepEqual([mended.upToDate, mended.received], [false, text.length]);
    assert.deepEqual(await readFile(config), text);
  });

  it('finds damage that kept size and time when asked to verify, and fetches that file alone', async () => {
    await using hub = await start();
    await hub.pull();
    const weights = join(hub.folder, WEIGHTS);
    const bytes = await readFile(weights);
    const { atime, mtime } = await stat(weights);
    bytes[bytes.length - 1]! ^= 1;
    await writeFile(weights, bytes);
    await utimes(weights, atime, mtime);
    const mended = await hub.pull({ verify: true });
    assert.equal(mended.received, bytes.length);
    assert.equal(mended.sha256, (await openCheckpoint('test/oracle/llama/model')).hash);
  });

  it('fetches shards that an index names', async () => {
    const { [WEIGHTS]: whole, ...others } = oracleFiles();
    const index = { weight_map: Object.fromEntries([...(await tensorNames())].map((name) => [name, SHARD])) };
    await using hub = await start();
    const files = { ...others, [SHARD]: whole!, [INDEX]: Buffer.from(JSON.stringify(index)) };
    hub.server.publish('sharded', files);
    await hub.pull();
    assert.ok((await readdir(hub.folder)).includes(SHARD));
    hub.server.publish('escaping', {
      ...files,
      [INDEX]: Buffer.from(JSON.stringify({ weight_map: { a: '../../keys/identity.json' } })),
    });
    assert.equal((await hub.refusal()).code, 'HUB_FILES_UNFIT');
  });

  it('takes a newer commit in one step, and fetches only what is new in it', async () => {
    await using hub = await start();
    const first = await hub.pull();
    const card = Buffer.from('---\nlicense: mit\n---\nAnother card.\n');
    hub.server.publish('second', { ...oracleFiles(), 'README.md': card });
    const second = await hub.pull();
    assert.deepEqual([second.received, second.upToDate], [card.length, false]);
    assert.notEqual(second.model.commit, first.model.commit);
    assert.deepEqual(await readFile(join(hub.folder, 'README.md')), card);
  });

  it('never replaces a folder that it did not make', async () => {
    await using hub = await start();
    await mkdir(hub.folder, { recursive: true });
    await writeFile(join(hub.folder, 'config.json'), '{}');
    assert.equal((await hub.refusal()).code, 'USAGE');
    assert.equal(await readFile(join(hub.folder, 'config.json'), 'utf8'), '{}');
  });

  it('is refused while another one of the same model runs', async () => {
    await using hub = await start();
    let during: PrefmeshError | undefined;
    const { promise: asked, resolve } = Promise.withResolvers<void>();
    hub.cut(10_000, 1);
    await hub.pull({
      pause: async () => {
        during = await hub.refusal({ pause: async () => {} });
        resolve();
      },
    });
    await asked;
    assert.equal(during?.code, 'PULL_LOCKED');
  });
});

describe('a pull whose connection is cut', () => {
  it('goes on where it stopped: not one byte is sent twice', async () => {
    await using hub = await start();
    hub.cut(50_000, 2);
    const pulled = await hub.pull();
    const size = oracleFiles()[WEIGHTS]!.length;
    assert.deepEqual(
      hub.server.transfersOf(WEIGHTS).map(({ range }) => range),
      [undefined, 'bytes=50000-', 'bytes=100000-'],
    );
    assert.equal(hub.server.sent, pulled.bytes);
    assert.deepEqual([pulled.received, size > 100_000], [pulled.bytes, true]);
    assert.deepEqual(hub.pauses, [1000, 1000]);
  });

  it('keeps what came for the next run when it gives up, and shows no model until then', async () => {
    await using hub = await start();
    hub.cut(40_000, 1);
    hub.server.intercept = (request, response) => {
      if (request.headers.range === undefined) return false;
      refuse(response, 503, undefined, 'out of order');
      return true;
    };
    const gaveUp = await hub.refusal();
    assert.deepEqual([gaveUp.code, gaveUp.exitCode], ['HUB_BUSY', 4]);
    assert.deepEqual(hub.pauses, [1000, 2000, 4000, 8000, 16000]);
    assert.ok(await missing(hub.folder));
    hub.server.intercept = undefined;
    const resumed = await hub.pull();
    assert.equal(resumed.received, oracleFiles()[WEIGHTS]!.length - 40_000);
    assert.equal(hub.server.sent, resumed.bytes);
  });

  it('takes all anew from a server that ignores ranges, and still ends whole', async () => {
    await using hub = await start();
    hub.cut(30_000, 1);
    hub.server.ignoresRanges = true;
    const pulled = await hub.pull();
    assert.equal(pulled.received, pulled.bytes + 30_000);
  });

  it('does not mix two contents of a file that changed between the tries', async () => {
    await using hub = await start();
    hub.cut(30_000, 1);
    const stop = new AbortController();
    await assert.rejects(hub.pull({ signal: stop.signal, pause: async () => stop.abort() }));
    const other = Buffer.from(oracleFiles()[WEIGHTS]!);
    other[other.length - 1]! ^= 1;
    hub.server.publish('retrained', { ...oracleFiles(), [WEIGHTS]: other });
    const pulled = await hub.pull();
    assert.deepEqual(await readFile(join(hub.folder, WEIGHTS)), other);
    assert.equal(hub.server.transfersOf(WEIGHTS).at(-1)!.range, undefined);
    assert.equal(pulled.model.commit, hub.server.commit);
  });

  it('waits as long as the hub asks, and says how long when that is too long', async () => {
    await using hub = await start();
    let turnedAway = 0;
    hub.server.intercept = (_request, response) => {
      if (++turnedAway > 2) return false;
      response.setHeader('retry-after', '7');
      refuse(response, 429, undefined, 'slow down');
      return true;
    };
    await hub.pull();
    assert.deepEqual(hub.pauses, [7000, 7000]);
    hub.server.intercept = (_request, response) => {
      response.setHeader('retry-after', '3600');
      refuse(response, 429, undefined, 'slow down');
      return true;
    };
    const refused = await hub.refusal();
    assert.deepEqual([refused.code, refused.fix.includes('wait 3600 s')], ['HUB_BUSY', true]);
  });

  it('is refused before the first byte where the disk has no room', async () => {
    await using hub = await start();
    hub.server.listed = (entries) =>
      entries.map((entry) => (entry.path === WEIGHTS ? { ...entry, lfs: { ...entry.lfs!, size: 2 ** 50 } } : entry));
    const refused = await hub.refusal();
    assert.deepEqual([refused.code, hub.server.sent], ['DISK_FULL', 0]);
    assert.match(refused.message, /1073741824 MiB to fetch, \d+ MiB free/);
  });

  it('names the hub that is away', async () => {
    await using hub = await start();
    await hub.server[Symbol.asyncDispose]();
    const refused = await hub.refusal();
    assert.deepEqual([refused.code, refused.exitCode], ['HUB_UNREACHABLE', 4]);
    assert.match(refused.message, /127\.0\.0\.1:\d+ .*ECONNREFUSED/);
  });
});

describe('a pull of wrong bytes', () => {
  it('is refused by their hash, names the file, and keeps nothing of it', async () => {
    await using hub = await start();
    const wrong = Buffer.from(oracleFiles()[WEIGHTS]!);
    wrong[70_000]! ^= 1;
    hub.server.intercept = (_request, response, host) => {
      if (host !== 'storage') return false;
      response.writeHead(200, { 'content-length': wrong.length }).end(wrong);
      return true;
    };
    const refused = await hub.refusal();
    assert.deepEqual([refused.code, refused.exitCode], ['HUB_FILE_MISMATCH', 5]);
    assert.match(refused.message, /^model\.safetensors of maker\/tiny .*sha256/);
    hub.server.intercept = undefined;
    assert.equal((await hub.pull()).upToDate, false);
    assert.equal(hub.server.transfersOf(WEIGHTS).at(-1)!.range, undefined);
  });

  it("is refused for small files by git's hash", async () => {
    await using hub = await start();
    const right = hub.server.files.get('config.json')!;
    hub.server.intercept = (request, response) => {
      if (!request.url!.endsWith('/config.json')) return false;
      response.end(Buffer.from(right).fill(0x20, 5, 6));
      return true;
    };
    const refused = await hub.refusal();
    assert.deepEqual([refused.code, refused.details.file], ['HUB_FILE_MISMATCH', 'config.json']);
    assert.match(refused.message, /git-sha1/);
  });

  it('is refused by the headers already, before gigabytes are taken', async () => {
    await using hub = await start();
    hub.server.intercept = (request, response) => {
      if (!request.url!.endsWith(`/${WEIGHTS}`)) return false;
      const location = `${hub.server.storage}/content/${WEIGHTS}?signature=1`;
      response.writeHead(302, { 'x-linked-etag': `"${'0'.repeat(64)}"`, location }).end();
      return true;
    };
    const refused = await hub.refusal();
    assert.deepEqual([refused.code, refused.details.file], ['HUB_FILE_MISMATCH', WEIGHTS]);
    assert.match(refused.message, /lists one content and serves another/);
  });

  it('is refused when the other side sends more than it lists', async () => {
    await using hub = await start();
    hub.server.intercept = (_request, response, host) => {
      if (host !== 'storage') return false;
      response.write(oracleFiles()[WEIGHTS]!);
      response.end('and more');
      return true;
    };
    const refused = await hub.refusal();
    assert.deepEqual([refused.code, refused.message.includes('longer than')], ['HUB_FILE_MISMATCH', true]);
  });
});

describe('a pull of what is not given out', () => {
  it('tells gated, private, missing, mistyped and refused apart', async () => {
    await using hub = await start();
    const { server } = hub;
    const { token } = server;
    server.gated = 'manual';
    const gated = await hub.refusal();
    assert.deepEqual([gated.code, gated.exitCode], ['HUB_GATED', 5]);
    assert.ok(gated.fix.includes(`${server.endpoint}/${server.id}`));
    assert.ok(await missing(hub.folder));
    const notices: boolean[] = [];
    await hub.pull({ token, onModel: (model) => notices.push(model.gated) });
    assert.deepEqual(notices, [true]);

    server.isPrivate = true;
    assert.equal((await hub.refusal()).code, 'HUB_MODEL_MISSING');
    assert.equal((await hub.refusal({ token: 'hf_another' })).code, 'HUB_TOKEN_REFUSED');
    server.isPrivate = false;
    assert.equal((await hub.refusal({}, 'maker/absent')).code, 'HUB_MODEL_MISSING');
    assert.equal((await hub.refusal({ revision: 'v9' })).code, 'HUB_REVISION_MISSING');
    for (const id of ['../maker', 'maker/../x', 'a/b/c', '/etc', 'maker/tiny?x=1', '', 'maker\\tiny'])
      assert.equal((await hub.refusal({}, id)).code, 'USAGE', id);
    assert.equal((await hub.refusal({ revision: '../../x' })).code, 'USAGE');
    server.intercept = (_request, response) => (response.writeHead(403).end('Access \x1b[31mdisabled'), true);
    const disabled = await hub.refusal();
    assert.match(disabled.message, /HTTP status 403: Access +31mdisabled$/);
  });

  it('sends the token to the hub alone, never to where files come from, and shows it nowhere', async () => {
    await using hub = await start();
    const { token } = hub.server;
    await hub.pull({ token });
    for (const { host, authorization } of hub.server.requests)
      assert.equal(authorization, host === 'hub' ? `Bearer ${token}` : undefined);
    assert.ok(hub.server.transfersOf(WEIGHTS).length > 0);
    hub.server.intercept = (_request, response) => (refuse(response, 403, undefined, `token ${token} is bad`), true);
    assert.ok(!(await hub.refusal({ token })).message.includes(token));
    const plain = await hub.refusal({ token, endpoint: 'http://hub.example' });
    assert.deepEqual([plain.code, plain.message.includes(token)], ['USAGE', false]);
  });

  it('says what a repository lacks that is no model for this program', async () => {
    const { [WEIGHTS]: _weights, ...rest } = oracleFiles();
    await using hub = await start();
    hub.server.publish('pickled', rest);
    const unfit = await hub.refusal();
    assert.deepEqual([unfit.code, unfit.exitCode], ['HUB_FILES_UNFIT', 3]);
    assert.match(unfit.message, /no weights as model\.safetensors, only files like pytorch_model\.bin/);
    const config = JSON.parse(Buffer.from(oracleFiles()['config.json']!).toString());
    const foreign = Buffer.from(JSON.stringify({ ...config, architectures: ['MambaForCausalLM'] }));
    hub.server.publish('another family', { ...oracleFiles(), 'config.json': foreign });
    assert.equal((await hub.refusal()).code, 'MODEL_UNSUPPORTED');
    assert.equal(hub.server.transfersOf(WEIGHTS).length, 0, 'refused before the weights are fetched');
    hub.server.publish('broken', { ...oracleFiles(), [WEIGHTS]: oracleFiles()[WEIGHTS]!.subarray(0, 100_000) });
    assert.equal((await hub.refusal()).code, 'WEIGHTS_INVALID');
    assert.ok(await missing(hub.folder));
  });
});

describe('a hub that means harm', () => {
  const names = ['../evil', '..', '/etc/passwd', 'C:\\evil', 'c:evil', 'a\\b', 'a/../../b', 'line\nbreak', 'nul\0'];
  for (const name of names) {
    it(`cannot name a file ${JSON.stringify(name)}`, async () => {
      await using hub = await start();
      hub.server.listed = (entries) => [...entries, { ...entries[0]!, path: name }];
      const refused = await hub.refusal();
      assert.deepEqual([refused.code, refused.exitCode], ['HUB_ANSWER_UNUSABLE', 4]);
      assert.ok(await missing(hub.folder));
    });
  }

  it('cannot plant a symbolic link: what is listed as one is a regular file with its bytes', async () => {
    const link = Buffer.from('../../../keys/identity.json');
    await using hub = await start({ 'vocab.json': link });
    await hub.pull();
    assert.ok((await lstat(join(hub.folder, 'vocab.json'))).isFile());
  });

  it('cannot list two files that a file system may take for one', async () => {
    await using hub = await start();
    hub.server.listed = (entries) => [...entries, { ...entries[0]!, path: 'CONFIG.json' }];
    assert.match((await hub.refusal()).message, /twice/);
  });

  it('cannot fill memory or run on: answers, lists and redirects have bounds', async () => {
    await using hub = await start();
    const { server } = hub;
    server.intercept = (_request, response) => {
      const part = Buffer.alloc(2 ** 20, 0x20);
      const more = () => {
        while (response.write(part));
        if (!response.destroyed) response.once('drain', more);
      };
      more();
      return true;
    };
    assert.match((await hub.refusal()).message, new RegExp(`longer than ${LIMITS.hubAnswer.value} bytes`));
    server.intercept = (request, response) => (response.writeHead(302, { location: request.url! }).end(), true);
    assert.match((await hub.refusal()).message, /redirects more than 5 times/);
    server.intercept = (_request, response) => (response.end('<html>'), true);
    assert.match((await hub.refusal()).message, /not JSON/);
    server.intercept = undefined;
    server.listed = (entries) => Array.from({ length: 10 }, () => entries).flat();
    assert.match((await hub.refusal()).message, /twice/);
    server.listed = () => [{ type: 'file', path: 'config.json', size: -1, oid: 'x' }];
    assert.match((await hub.refusal()).message, /lacks size/);
    server.listed = () => ({ entries: [] });
    assert.equal((await hub.refusal()).code, 'HUB_ANSWER_UNUSABLE');
  });
});

const SHARD = 'model-00001-of-00001.safetensors';
const INDEX = 'model.safetensors.index.json';

async function tensorNames(): Promise<Iterable<string>> {
  return (await openCheckpoint('test/oracle/llama/model')).tensors.keys();
}
