import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { programCommand } from '../../../node/commands/program.ts';
import { HubServer } from '../model/hub/hubServer.ts';
import { oracleFiles, partArrived, WEIGHTS } from '../model/hub/repositoryFiles.ts';
import { scratchFolder } from '../storage/scratch.ts';

/** The program as a shell would run it, beside a hub in this process. */
function run(args: readonly string[], { limit = '', env = {} }: { limit?: string; env?: Record<string, string> } = {}) {
  const { command, leadingArguments } = programCommand();
  const child = spawn('bash', ['-c', `${limit} exec "$0" "$@"`, command, ...leadingArguments, ...args], {
    env: { ...process.env, HF_TOKEN: '', HF_ENDPOINT: '', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (part) => (stdout += part));
  child.stderr.on('data', (part) => (stderr += part));
  const ended = once(child, 'close').then(([code]) => ({ code: code as number | null, stdout, stderr }));
  return { child, ended };
}

describe('prefmesh model pull', () => {
  it('shows licence and progress, prints one JSON object, and gives list and inspect what they show', async function () {
    this.timeout(120_000);
    await using scratch = await scratchFolder();
    await using server = await HubServer.start({ files: oracleFiles() });
    const home = ['--home', scratch.path];
    const pulled = await run(['model', 'pull', server.id, '--json', ...home], { env: { HF_ENDPOINT: server.endpoint } })
      .ended;
    assert.equal(pulled.code, 0, pulled.stderr);
    assert.match(pulled.stderr, /^licence of maker\/tiny: apache-2\.0$/m);
    assert.match(pulled.stderr, /^maker\/tiny {2}0\.1\/0\.1 MiB/m);
    const { revision, commit, licence, gated, received, bytes, sha256, up_to_date } = JSON.parse(pulled.stdout);
    assert.deepEqual(
      [revision, commit, licence, gated, received, up_to_date],
      ['main', server.commit, 'apache-2.0', false, bytes, false],
    );
    const listed = await run(['model', 'list', '--json', ...home]).ended;
    const line = listed.stdout.split('\n').find((one) => one.includes(server.id));
    const row = JSON.parse(line ?? '{}');
    assert.deepEqual([row.commit, row.licence, row.sha256], [commit, licence, sha256]);
    const inspected = await run(['model', 'inspect', server.id, ...home]).ended;
    assert.match(inspected.stderr, new RegExp(`revision +main \\(${commit.slice(0, 12)}\\)\\nlicence +apache-2.0`));
  });

  it('ends in DISK_FULL when the disk is full half way, and goes on from there when it has room', async function () {
    this.timeout(120_000);
    await using scratch = await scratchFolder();
    await using server = await HubServer.start({ files: oracleFiles() });
    const args = ['model', 'pull', server.id, '--home', scratch.path, '--endpoint', server.endpoint];
    // The file-size limit of a child process stands for the full disk: the write fails half way, as there.
    const full = await run(args, { limit: 'ulimit -f 64;' }).ended;
    assert.equal(full.code, 1, full.stderr);
    assert.match(full.stderr, /^error DISK_FULL: .+\nfix: free disk space.+\n$/m);
    assert.ok(!(await readdir(join(scratch.path, 'models'))).includes('maker'));
    const room = await run(args).ended;
    assert.equal(room.code, 0, room.stderr);
    assert.equal(server.transfersOf(WEIGHTS).at(-1)?.range, 'bytes=65536-');
  });

  it('stops on Ctrl-C, says what is kept, and goes on from there', async function () {
    this.timeout(120_000);
    await using scratch = await scratchFolder();
    await using server = await HubServer.start({ files: oracleFiles() });
    server.intercept = (_request, response, host) => {
      if (host !== 'storage') return false;
      const bytes = server.files.get(WEIGHTS)!;
      response.writeHead(200, { 'content-length': bytes.length });
      response.write(bytes.subarray(0, 50_000));
      return true;
    };
    const token = join(scratch.path, 'token');
    await writeFile(token, `${server.token}\n`);
    const args = ['model', 'pull', server.id, '--home', scratch.path, '--endpoint', server.endpoint];
    const first = run([...args, '--token-file', token]);
    await partArrived(scratch.path, server.id, 50_000);
    first.child.kill('SIGINT');
    const stopped = await first.ended;
    assert.equal(stopped.code, 130, stopped.stderr);
    assert.match(stopped.stderr, /^error INTERRUPTED: interrupted; kept: [\d.]+ of 0\.1 MiB of maker\/tiny;/m);
    assert.ok(!stopped.stderr.includes(server.token));
    server.intercept = undefined;
    const second = await run(args).ended;
    assert.equal(second.code, 0, second.stderr);
    assert.equal(server.transfersOf(WEIGHTS).at(-1)?.range, 'bytes=50000-');
  });

  it('refuses a token file that is missing or holds something else, without showing it', async function () {
    this.timeout(120_000);
    await using scratch = await scratchFolder();
    const file = join(scratch.path, 'token');
    const args = ['model', 'pull', 'maker/tiny', '--home', scratch.path, '--token-file', file];
    assert.match((await run(args).ended).stderr, /^error USAGE: --token-file .+ENOENT\nfix: /);
    await writeFile(file, 'two words');
    const { code, stderr } = await run(args).ended;
    assert.deepEqual([code, stderr.includes('two words')], [2, false]);
  });
});
