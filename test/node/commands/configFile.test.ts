import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { expandConfigFile } from '../../../node/commands/configFile.ts';
import { repeatedValue } from '../../../node/commands/values.ts';
import { isPrefmeshError } from '../../../protocol/errors.ts';

describe('a configuration file', () => {
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'prefmesh-config-'));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  const root = new Command('prefmesh').addCommand(
    new Command('group').addCommand(
      new Command('work')
        .argument('[file]')
        .option('--rate <number>')
        .option('--address <text>', '', repeatedValue())
        .option('--json')
        .option('--config <file>'),
    ),
  );

  /** The arguments of `group work` with the file's values put in. */
  function expanded(config: object, ...given: string[]): string[] {
    const file = join(folder, 'config.json');
    writeFileSync(file, JSON.stringify(config));
    return expandConfigFile(root, ['group', 'work', ...given, '--config', file]).slice(0, -2);
  }

  it('becomes flags right after the name of the command', () => {
    assert.deepEqual(expanded({ rate: 0.5 }, 'notes'), ['group', 'work', '--rate=0.5', 'notes']);
  });

  it('gives a list as a repeated flag, and a switch only when it is on', () => {
    const flags = ['--address=a', '--address=b', '--json'];
    assert.deepEqual(expanded({ address: ['a', 'b'], json: true }), ['group', 'work', ...flags]);
    assert.deepEqual(expanded({ json: false }), ['group', 'work']);
  });

  it('keeps quiet about what the command line says, repeated flags included', () => {
    assert.deepEqual(expanded({ address: ['a', 'b'] }, '--address', 'c'), ['group', 'work', '--address', 'c']);
    assert.deepEqual(expanded({ rate: 1 }, '--rate=2'), ['group', 'work', '--rate=2']);
  });

  it('may be named with an equals sign, and not after a double dash', () => {
    const file = join(folder, 'named.json');
    writeFileSync(file, '{"rate":1}');
    const named = expandConfigFile(root, ['group', 'work', `--config=${file}`]);
    assert.deepEqual(named, ['group', 'work', '--rate=1', `--config=${file}`]);
    const words = ['group', 'work', '--', '--config', file];
    assert.deepEqual(expandConfigFile(root, words), words);
  });

  it('keeps a value with spaces or a leading dash in one piece', () => {
    assert.deepEqual(expanded({ address: '--json x' }), ['group', 'work', '--address=--json x']);
  });

  it('refuses what is no option of the command, and a text for a switch', () => {
    const refusedAs = (code: 'CONFIG_KEY' | 'CONFIG_FILE') => (error: unknown) => isPrefmeshError(error, code);
    assert.throws(() => expanded({ rat: 1 }), refusedAs('CONFIG_KEY'));
    assert.throws(() => expanded({ config: 'another' }), refusedAs('CONFIG_KEY'));
    assert.throws(() => expanded({ json: 'yes' }), refusedAs('CONFIG_FILE'));
    assert.throws(() => expanded([]), refusedAs('CONFIG_FILE'));
  });
});
