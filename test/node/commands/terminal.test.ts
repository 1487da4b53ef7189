import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { programCommand } from '../../../node/commands/program.ts';

const COLUMNS = 60;

/** Runs a command on a pseudo-terminal of COLUMNS columns, and passes on what it shows and how it ends. */
const ON_A_TERMINAL = `
import fcntl, os, pty, struct, sys, termios
child, terminal = pty.fork()
if child == 0:
    fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack('HHHH', 24, ${COLUMNS}, 0, 0))
    os.execvp(sys.argv[1], sys.argv[1:])
while True:
    try:
        shown = os.read(terminal, 65536)
    except OSError:
        break
    if not shown:
        break
    os.write(1, shown)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
`;

describe('a terminal', function () {
  this.timeout(120_000);
  let home: string;
  before(function () {
    if (spawnSync('python3', ['-c', 'import pty, termios']).status !== 0) {
      process.stdout.write('      skipped: no python3 that opens pseudo-terminals\n');
      this.skip();
    }
    home = mkdtempSync(join(tmpdir(), 'prefmesh-terminal-'));
  });
  after(() => home && rmSync(home, { recursive: true, force: true }));

  it('sees one line of progress, drawn again within its width, and then the words that follow it', () => {
    const { command, leadingArguments } = programCommand();
    const oracle = (name: string) => join('test', 'oracle', 'llama', name);
    const train = ['train', '--model', oracle('model'), '--pairs', oracle('pairs.jsonl'), '--home', home];
    const course = ['--rank', '2', '--steps', '6', '--threads', '1', '--device', 'cpu', '--out', join(home, 'out')];
    const words = ['-c', ON_A_TERMINAL, command, ...leadingArguments, ...train, ...course];
    const { status, stdout, stderr } = spawnSync('python3', words, { encoding: 'utf8' });
    assert.equal(status, 0, stdout + stderr);

    const lines = stdout.split('\r\n');
    const drawn = lines.filter((line) => line.includes('\r\u001b[2Ktraining on cpu'));
    assert.equal(drawn.length, 1, 'progress takes one line');
    const frames = drawn[0]!.split('\r\u001b[2K').slice(1);
    assert.match(frames.at(-1)!, /^training on cpu {2}6\/6 steps {2}[\d.]+ steps\/s {2}\d+ tokens\/s/);
    for (const frame of frames) assert.ok(frame.length < COLUMNS, frame);
    assert.ok(
      lines.slice(lines.indexOf(drawn[0]!) + 1).some((line) => line.startsWith('adapter of step 6 written to')),
      'what follows stands on lines of its own',
    );
  });
});
