import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { globSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { programCommand } from '../../node/commands/program.ts';
import { commandTree } from '../../prefmesh.ts';
import { shownCommands } from './shownCommands.ts';

const PAGES = ['README.md', ...globSync('docs/{tutorial,how-to,explanation,reference}/*.md')];

/** What is wrong with a command as a page shows it; `…` stands for what the page leaves out. */
function problemsOf(root: Command, words: readonly string[]): string[] {
  let command = root;
  let at = 0;
  for (let child; (child = command.commands.find((each) => each.name() === words[at])) !== undefined; at++)
    command = child;
  if (command === root) return words[0]?.startsWith('--') === true ? [] : ['no such command'];
  const flags = words.filter((word) => word.startsWith('--'));
  const unknown = flags.filter((flag) => !command.options.some(({ long }) => long === flag));
  const missing = words.includes('…')
    ? []
    : command.options.filter(({ mandatory, long }) => mandatory && !flags.includes(long!));
  return [
    ...unknown.map((flag) => `no option ${flag}`),
    ...missing.map(({ long }) => `${long} is missing, which it cannot do without`),
  ];
}

describe('the commands that the documentation shows', function () {
  this.timeout(120_000);

  it('are commands and options that exist, none without what it needs', async () => {
    const root = await commandTree();
    let seen = 0;
    for (const page of PAGES) {
      for (const words of shownCommands(page)) {
        seen++;
        assert.deepEqual(problemsOf(root, words), [], `${page}: prefmesh ${words.join(' ')}`);
      }
    }
    assert.ok(seen >= 40, `only ${seen} commands were found`);
  });

  it('make the federation of the tutorial, and tickets to it', () => {
    const folder = mkdtempSync(join(tmpdir(), 'prefmesh-tutorial-'));
    try {
      const options = { cwd: folder, encoding: 'utf8' } as const;
      const pairs = [resolve('scripts/make-taste-pairs.ts'), '--out', 'try', '--participants', '2'];
      assert.equal(spawnSync(process.execPath, pairs, options).status, 0);
      const { command, leadingArguments } = programCommand();
      const made = shownCommands('docs/tutorial/first-federation.md').filter(([first]) => first === 'federation');
      assert.deepEqual(
        made.map(([, second]) => second),
        ['create', 'invite'],
      );
      for (const words of made) {
        const outcome = spawnSync(command, [...leadingArguments, ...words], options);
        assert.equal(outcome.status, 0, `${words.join(' ')}: ${outcome.stderr}`);
        if (words[1] === 'invite') assert.equal(outcome.stdout.match(/^prefmesh:\S+$/gm)?.length, 2);
      }
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
