/** The real program in a child process, as a user's shell would run it. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { programCommand } from '../../../node/commands/program.ts';

export interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export function prefmesh(...args: string[]): Outcome {
  const { command, leadingArguments } = programCommand();
  const outcome = spawnSync(command, [...leadingArguments, ...args], { encoding: 'utf8' });
  return { code: outcome.status, stdout: outcome.stdout, stderr: outcome.stderr };
}

/** The JSON lines of a command that must succeed. */
export function jsonLines<Line>(...args: string[]): Line[] {
  const { code, stdout, stderr } = prefmesh(...args, '--json');
  assert.equal(code, 0, stderr);
  return stdout
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as Line);
}

/** The code of a command that must fail. */
export function failure(...args: string[]): { code: string; exit: number | null; stderr: string } {
  const { code, stderr } = prefmesh(...args);
  const match = /^error (\w+): .+\nfix: .+\n$/m.exec(stderr);
  assert.ok(match, `no error and fix on stderr:\n${stderr}`);
  return { code: match[1]!, exit: code, stderr };
}
